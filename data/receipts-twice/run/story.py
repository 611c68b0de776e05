"""A payment is told twice now and then; since the worker sends first and remembers then, it has two receipts."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import httpx
import redis
from making import facts
from making.load import Load
from making.parts import Mail, act
from making.scene import Story

REDIS, MAIL = 9171, 9172
START = datetime(2026, 4, 23, 8, 0, tzinfo=UTC)
DEPLOY = START + timedelta(minutes=25, seconds=40)


class Payments(Load):
    """What is paid; the shop tells it again when it is not sure that it was heard."""

    PER_MINUTE = 22
    MIX: ClassVar = {"paid": 0.94, "again": 0.06}

    def __init__(self, seed: int, base_url: str, start: float, seconds: float) -> None:
        super().__init__(seed, base_url, start, seconds)
        self._paid: list[dict[str, str]] = []
        self._queue = redis.Redis(port=REDIS)

    async def ask(self, client: httpx.AsyncClient, at: float, number: int, what: str) -> None:
        if what == "again" and self._paid:
            fields = self.rng.choice(self._paid[-40:])
        else:
            fields = {
                "idempotency-key": f"pay-{self.rng.getrandbits(48):012x}",
                "email": f"customer{self.rng.randrange(400):03d}@example.com",
                "amount": f"{self.rng.randrange(3, 250)}.{self.rng.randrange(100):02d}",
            }
            self._paid.append(fields)
        # An entry's id is a time: that of the story, not of the day on which it is told.
        self._queue.xadd("payments", fields, id=f"{int((self.start + at) * 1000)}-{number}")
        while any(group["lag"] != 0 for group in self._queue.xinfo_groups("payments")):
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.002)  # from being read to being in hand


def peers() -> dict[int, Any]:
    """What the worker calls, by port."""
    return {MAIL: Mail(seed=71)}


STORY = Story(
    incident=Path(__file__).resolve().parent.parent,
    service="receipts-worker",
    acts=(
        act(START, "Release 1.1.0", share=0.02, seed=12),
        act(DEPLOY, "Release 1.2.0", share=0.03, seed=13),
    ),
    end=DEPLOY + timedelta(minutes=31),
    load=Payments,
    seed=20260423,
    database="RECEIPTS_DB",
    settings={"REDIS_URL": f"redis://127.0.0.1:{REDIS}", "MAIL_URL": f"http://127.0.0.1:{MAIL}"},
    ports=(REDIS, MAIL),
    plain=(),
    servers=(
        ("/usr/bin/redis-server", "--port", str(REDIS), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
    ),
    failing=8,
    controls=10,
)

ANSWER = facts.Answer(
    operation="process payments",
    cause="a message that comes again sends a second receipt, and fails only when it is to be remembered",
    kind="commit",
    offence="Remember a receipt when it is sent",
    change="receipts-worker",
    replay={"outcome": "reproduced", "finding": "1 outbound effect again (POST"},
    diagnose={"status": "confirmed", "culprit": "offence"},
)

expected = partial(facts.expected, answer=ANSWER)
check = partial(facts.check, answer=ANSWER)
