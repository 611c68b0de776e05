"""payments-api takes charges from cards; since version 1.8.0 three of a hundred cannot be answered."""

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from facts import check, expected
from load import Load
from making.peers import body_of, reply
from making.planted import secret
from making.scene import Act, Story

GATEWAY, MAIL = 9101, 9102
START = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
DEPLOY = START + timedelta(hours=2, minutes=2, seconds=17)

LATE = 0.004
"""Share of authorisations that never come in time."""
TARDY = 0.003
"""Share that takes a little more than 200 ms."""
DECLINED = 0.02
REASONS = ("insufficient_funds", "insufficient_funds", "do_not_honour", "expired_card", "lost_card")
MAIL_DOWN = 0.002


class Gateway:
    """Approves nearly everything, mostly within some milliseconds."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await body_of(receive)
        if scope["path"] == "/v1/settlements":
            await asyncio.sleep(self._rng.uniform(0.25, 0.6))
            return await reply(send, 200, json.dumps({"total": self._rng.randrange(10**5, 10**7)}).encode())
        draw, code = self._rng.random(), f"{self._rng.randrange(16**6):06X}"
        reason = self._rng.choice(REASONS)
        await asyncio.sleep(self._seconds(self._rng.random()))
        told = {"status": "declined", "code": reason} if draw < DECLINED else {"status": "approved", "code": code}
        return await reply(send, 200, json.dumps(told).encode())

    def _seconds(self, draw: float) -> float:
        if draw < LATE:
            return 0.5
        if draw < LATE + TARDY:
            return self._rng.uniform(0.205, 0.23)
        return min(0.12, 0.004 * self._rng.lognormvariate(0, 0.7))


class Mail:
    """Takes every message, except when it is down."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await body_of(receive)
        await asyncio.sleep(0.002 * self._rng.lognormvariate(0, 0.5))
        if self._rng.random() < MAIL_DOWN:
            return await reply(send, 503, b'{"error":"unavailable"}')
        return await reply(send, 202, json.dumps({"queued": f"{self._rng.randrange(16**8):08x}"}).encode())


def peers() -> dict[int, Any]:
    """What the service calls, by port."""
    return {GATEWAY: Gateway(seed=11), MAIL: Mail(seed=12)}


STORY = Story(
    incident=Path(__file__).resolve().parent.parent,
    service="payments-api",
    acts=(
        Act(start=START, release="Release 1.7.0", settings={"RECORDINGS_SHARE": "0.01", "RECORDINGS_SEED": "3"}),
        Act(
            start=DEPLOY,
            release="Release 1.8.0",
            # The first draw of this seed is a control: the mirrored requests start from its database.
            settings={"RECORDINGS_SHARE": "0.05", "RECORDINGS_SEED": "31", "RECORDINGS_MIRROR": "1"},
        ),
    ),
    end=DEPLOY + timedelta(minutes=42),
    load=Load,
    seed=20261118,
    database="PAYMENTS_DB",
    settings={
        "GATEWAY_URL": f"http://127.0.0.1:{GATEWAY}",
        "GATEWAY_KEY": secret(-1),
        "MAIL_URL": f"http://127.0.0.1:{MAIL}",
    },
    ports=(GATEWAY, MAIL),
)

__all__ = ["STORY", "check", "expected", "peers"]
