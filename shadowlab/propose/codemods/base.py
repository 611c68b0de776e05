"""What a codemod is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from shadowlab.records import Failure


@dataclass(frozen=True, slots=True)
class Site:
    """Where to mend, and what was seen there."""

    file: str
    function: str
    line: int
    failure: Failure
    module: str = ""
    """Dotted name by which the service's tests import the file."""
    line_length: int = 88


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A file's new text, a test for it, and words for the reviewer."""

    text: str
    test: str
    """Source of a test file: fails before, passes after."""
    test_slug: str
    """What the test file is called after: `serializer_decimal`."""
    test_names: tuple[str, ...]
    does: str
    """One sentence: what the change does, and what it leaves alone."""
    surface: str
    """What it may touch."""
    timed: Timed


@dataclass(frozen=True, slots=True)
class Timed:
    """The change's cost as two self-written snippets; nothing of the tree is run."""

    setup: str
    before: str
    after: str
    values: int
    """How many values of the kind one run of the snippets handles."""


@dataclass(frozen=True, slots=True)
class Example:
    """A codemod's promise, which one test checks for all."""

    name: str
    site: Site
    variant: str
    before: str
    after: str | None
    """None where the codemod must leave its hands off."""
    declines: str = field(default="")
    """A part of the reason, when it leaves its hands off."""


class Codemod(Protocol):
    """One way to mend one family of faults, on the concrete syntax tree."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def examples(self) -> tuple[Example, ...]:
        """Before and after, and where it leaves its hands off."""

    def variants(self, site: Site) -> tuple[str, ...]:
        """The parameters it could be tried with, the most careful first; empty when this is not its fault to mend."""

    def rewrite(self, text: str, site: Site, variant: str) -> Rewrite | str:
        """The file's new text, or in one sentence why it leaves its hands off."""
