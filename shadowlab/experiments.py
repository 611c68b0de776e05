"""What else a recording can be asked, beside the way to a fix: smaller, on another tree, in another order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from shadowlab import choice, errors
from shadowlab.evidence import Evidence
from shadowlab.records import Candidate, Comparison, Exploration, Minimised, Record, Recording, Replay
from shadowlab.source import Source, open_source
from shadowlab.transfers import Transfers


class Experiments(Transfers):
    """Verbs that take a replay further; each keeps a record, and none is needed by the next stage."""

    def minimise(
        self,
        what: Replay | Recording | str | None = None,
        *,
        budget: int = 200,
        sandbox: str = "embedded",
        revision: str | None = None,
    ) -> Minimised:
        """Make a failing request as small as it can be while it fails in the same way, within `budget` replays.

        `what` is a replay (its first recording), a recording or its id; None takes the latest replay's, else the
        newest failing recording. Raises `RecordingError` when it does not fail, `SourceError`, `SandboxError`.
        """
        from shadowlab import replay

        id, evidence = choice.tape(self, what), Evidence(self.case)
        small = replay.minimise(
            self.case,
            id,
            source=self.source,
            revision=choice.revision(self, (id,), revision),
            budget=budget,
            sandbox=sandbox,
            parents=(what.digest,) if isinstance(what, Record) else self._parents(Replay),
            progress=self.progress,
        )
        return self._keep("minimise", small, evidence, of=small.of, budget=budget, sandbox=sandbox)

    def compare(
        self,
        source: Source | str | os.PathLike[str] | None = None,
        base: str | None = None,
        patched: str | None = None,
        *,
        patch: Candidate | str | os.PathLike[str] | None = None,
        recordings: Sequence[str] | None = None,
        limit: int = 40,
        sandbox: str = "embedded",
    ) -> Comparison:
        """Run the same recordings on two trees: what a change fixes, breaks, alters and leaves alone.

        `base` and `patched` are revisions of `source` (the case's); `patch` is a candidate, a unified diff or its file,
        applied to `patched`, else to `base`, which is what the recordings name when it is not said. Without
        `recordings` up to `limit` are taken, failing ones and such that passed. Raises `UsageError`, `SourceError`,
        `PatchError`.
        """
        from shadowlab import replay

        if patched is None and patch is None:
            raise errors.UsageError("there is nothing to compare with", hint="give --patched REVISION or --patch FILE")
        ids = tuple(recordings) if recordings is not None else choice.traffic(self, limit)
        where = self.source if source is None else source if isinstance(source, Source) else open_source(Path(source))
        evidence = Evidence(self.case)
        done = replay.compare_trees(
            self.case,
            ids,
            source=where,
            base=base or choice.revision(self, ids, None),
            revision=patched,
            patch=choice.patch(patch),
            sandbox=sandbox,
            parents=self._parents(Replay),
            progress=self.progress,
        )
        return self._keep("compare", done, evidence, base=done.base, patched=done.patched, sandbox=sandbox)

    def explore(
        self,
        recording: Replay | Recording | str | None = None,
        *,
        schedules: int = 200,
        depth: int = 3,
        seed: int = 0,
        strict: bool = False,
        sandbox: str = "embedded",
        revision: str | None = None,
    ) -> Exploration:
        """Run a request in up to `schedules` seeded orders of its tasks and threads, until it comes out differently.

        The order that was found is kept as a recording. `depth` is that of the bug (PCT: one more than the switches it
        needs), `strict` takes any difference of the outcome for another one. Raises as `minimise` does.
        """
        from shadowlab import replay

        id, evidence = choice.tape(self, recording), Evidence(self.case)
        done = replay.explore(
            self.case,
            id,
            source=self.source,
            revision=choice.revision(self, (id,), revision),
            schedules=schedules,
            depth=depth,
            seed=seed,
            strict=strict,
            sandbox=sandbox,
            parents=self._parents(Replay),
            progress=self.progress,
        )
        return self._keep("explore", done, evidence, recording=done.recording, seed=seed, depth=depth, sandbox=sandbox)
