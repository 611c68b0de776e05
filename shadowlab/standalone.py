"""Verbs that need no investigation: they open no case, or make one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from shadowlab.case import Case, open_case
from shadowlab.records import Judgement, Verification


def judge(
    control: tuple[int, int], candidate: tuple[int, int], *, margin: float = 0.001, alpha: float = 0.05
) -> Judgement:
    """Control against candidate from counts alone, as (failures, total)."""
    from shadowlab import gates

    return gates.judge(control, candidate, margin=margin, alpha=alpha)


def verify_notebook(notebook: str | os.PathLike[str], *, signers: Sequence[str] = ()) -> Verification:
    """Check an executed notebook or its page against the signed statement beside it."""
    from shadowlab.audit import verify

    return verify.verify_notebook(Path(notebook), signers=signers)


def pack(case: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
    """Write a case, keys left out, as one file; the same bytes when packed twice.

    Raises `CaseError` when the file is there and holds anything else than this case as it was before.
    """
    from shadowlab.audit import archive

    return archive.pack(open_case(case, create=False), Path(out))


def unpack(file: str | os.PathLike[str], case: str | os.PathLike[str]) -> Case:
    """Make the case that a packed file holds, in a new folder."""
    from shadowlab.audit import archive

    return archive.unpack(Path(file), Path(case))
