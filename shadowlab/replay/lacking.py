"""The replay of what cannot be run: nothing ran, and what is missing is named."""

from __future__ import annotations

from dataclasses import dataclass

from shadowlab.records import Control, Effect, Outcome, Replay, digest_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """What a replay's record says of itself, whatever came of it."""

    sandbox: str
    revision: str
    suspect: str | None
    """The fingerprint that it was run for."""
    seed: int = 0
    parents: tuple[str, ...] = ()


def lacking(missing: tuple[str, ...], provenance: Provenance) -> Replay:
    """A replay whose inputs are not there, in words."""
    nothing = digest_of([])
    return Replay(
        outcome=Outcome.UNAVAILABLE,
        attempts=0,
        reproduced=0,
        outcome_digest=nothing,
        outcome_key=nothing,
        sandbox=provenance.sandbox,
        effects=(Effect(seam="inputs", control=Control.UNKNOWN, how="; ".join(missing), events=len(missing)),),
        suspect=provenance.suspect,
        revision=provenance.revision,
        missing=missing,
        parents=provenance.parents,
        seed=provenance.seed,
    )
