"""The registry of codemods: one file each, with its own examples of before and after."""

from shadowlab.propose.codemods.base import Codemod, Example, Rewrite, Site, Timed
from shadowlab.propose.codemods.json_default import JSON_DEFAULT

CODEMODS: tuple[Codemod, ...] = (JSON_DEFAULT,)

__all__ = ["CODEMODS", "Codemod", "Example", "Rewrite", "Site", "Timed"]
