"""What most stories are made of: a peer that answers everything alike, and acts that differ in what is recorded."""

import asyncio
import json
import random
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from making.peers import body_of, reply
from making.scene import Act, Neighbour


class Peer:
    """Answers every call with a JSON object, after a time that differs from call to call."""

    STATUS: ClassVar[int] = 200
    TAKES: ClassVar[tuple[float, float, float] | None] = None
    """Seconds: the median and sigma of a log-normal, and the longest; None is at once."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await body_of(receive)
        content = json.dumps(self.answer(scope["path"]), separators=(",", ":")).encode()
        if self.TAKES is not None:
            median, sigma, longest = self.TAKES
            await asyncio.sleep(min(longest, median * self.rng.lognormvariate(0, sigma)))
        await reply(send, self.STATUS, content)

    def answer(self, path: str) -> Mapping[str, Any]:
        """What it says when `path` is called."""
        raise NotImplementedError


class Mail(Peer):
    """Takes every message."""

    STATUS = 202
    TAKES = (0.003, 0.5, 0.05)

    def answer(self, path: str) -> Mapping[str, Any]:
        return {"queued": True}


def act(start: datetime, release: str, *, share: float, seed: int, neighbours: tuple[Neighbour, ...] = ()) -> Act:
    """From `start` on this release runs, and `share` of the requests that pass are recorded, drawn by `seed`."""
    settings = {"RECORDINGS_SHARE": str(share), "RECORDINGS_SEED": str(seed)}
    return Act(start=start, release=release, settings=settings, neighbours=neighbours)
