"""How strong a sandbox is, as it is really in force here: what a policy may ask for before strange code runs."""

from __future__ import annotations

import ctypes
import os

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.replay.inside import bpf, landlock

LEVELS = ("unconfined", "embedded", "bwrap", "docker", "gvisor")
"""Weakest first."""
DEFAULT = "embedded"
"""What is asked for when no policy says anything: nobody's patch runs without walls unless a policy allows it."""


def known(level: str) -> str:
    """`level` itself; raises `UsageError` when there is none of that name."""
    if level not in LEVELS:
        raise errors.UsageError(f"there is no sandbox level {level!r}", hint=f"choose one of {', '.join(LEVELS)}")
    return level


def of(case: Case) -> str:
    """What the policy of a case asks for; raises `UsageError` when it names no level."""
    policy = case.settings().get("policy")
    return known(str(policy.get("least_sandbox", DEFAULT))) if isinstance(policy, dict) else DEFAULT


def stronger(one: str, other: str) -> str:
    """The stronger of two levels."""
    return max(known(one), known(other), key=LEVELS.index)


def refusal(sandbox: str, least: str) -> str | None:
    """Why a policy that asks for `least` refuses to run strange code in `sandbox`; None when it does not.

    `embedded` counts as *unconfined* where this kernel lacks what it is made of.
    """
    lacking = _lacking() if sandbox == "embedded" else ""
    level = "unconfined" if lacking else known(sandbox)
    if LEVELS.index(level) >= LEVELS.index(known(least)):
        return None
    why = f", which counts as unconfined here: {lacking}" if lacking else ""
    return f"the policy asks for the sandbox {least} or a stronger one; this is {sandbox}{why}"


def demand(sandbox: str, least: str) -> None:
    """Raise `SandboxError` when `refusal` has a reason."""
    reason = refusal(sandbox, least)
    if reason:
        raise errors.SandboxError(reason, hint=f"replay with --sandbox {least} first, or change the policy")


def _lacking() -> str:
    """What this kernel does not have of the embedded walls, in words."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not landlock.abi(libc):
        return "this kernel has no Landlock, so files are not held"
    if not bpf.knows(os.uname().machine):
        return f"the filter does not know {os.uname().machine}, so calls are not held"
    return ""
