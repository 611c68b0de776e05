"""The replay of what cannot be run: nothing ran, and what is missing is named."""

from __future__ import annotations

from shadowlab.records import Control, Effect, Outcome, Replay, digest_of


def lacking(
    missing: tuple[str, ...],
    *,
    sandbox: str,
    suspect: str | None,
    revision: str,
    parents: tuple[str, ...] = (),
    seed: int = 0,
) -> Replay:
    """A replay whose inputs are not there, in words."""
    nothing = digest_of([])
    return Replay(
        outcome=Outcome.UNAVAILABLE,
        attempts=0,
        reproduced=0,
        outcome_digest=nothing,
        outcome_key=nothing,
        sandbox=sandbox,
        effects=(Effect(seam="inputs", control=Control.UNKNOWN, how="; ".join(missing), events=len(missing)),),
        suspect=suspect,
        revision=revision,
        missing=missing,
        parents=parents,
        seed=seed,
    )
