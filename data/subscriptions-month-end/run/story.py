"""On the last day of October nothing that renews monthly can start: November has no such day."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import httpx
from making import facts
from making.load import Load
from making.parts import Peer, act
from making.planted import SECRETS, secret
from making.scene import Story

MANDATES = 9121
START = datetime(2026, 10, 30, 23, 12, tzinfo=UTC)


class Customers(Load):
    """People who start, look at and cancel subscriptions."""

    PER_MINUTE = 22
    MIX: ClassVar = {"start": 0.72, "show": 0.2, "cancel": 0.05, "unknown": 0.01, "health": 0.02}

    async def before(self, client: httpx.AsyncClient) -> None:
        """Some subscriptions run already."""
        self._known: list[int] = []
        for _ in range(20):
            await self._start(client, "year")

    async def ask(self, client: httpx.AsyncClient, at: float, number: int, what: str) -> None:
        match what:
            case "start":
                await self._start(client, self.rng.choices(["month", "year"], [0.6, 0.4])[0])
            case "show":
                await client.get(f"/subscriptions/{self.rng.choice(self._known)}", headers=self._headers())
            case "cancel":
                known = self.rng.choice(self._known)
                await client.post(f"/subscriptions/{known}/cancel", headers=self._headers())
            case "unknown":
                await client.get("/subscriptions/999999", headers=self._headers())
            case _:
                await self.probe(client)

    async def _start(self, client: httpx.AsyncClient, interval: str) -> None:
        body = {
            "customer": f"cus_{self.rng.getrandbits(32):08x}",
            "plan": self.rng.choices(["basic", "family", "studio"], [0.6, 0.3, 0.1])[0],
            "interval": interval,
        }
        answer = await client.post("/subscriptions", json=body, headers=self._headers())
        if answer.status_code == 201:
            self._known.append(answer.json()["id"])

    def _headers(self) -> dict[str, str]:
        return {
            "user-agent": "okhttp/4.12.0",
            "x-client": self.rng.choice(["web/8.4.0", "app/3.11.2", "app/3.11.1", "tv/1.9.0"]),
            "x-api-key": secret(self.rng.randrange(SECRETS)),
        }


class Mandates(Peer):
    """Keeps each customer's consent."""

    TAKES = (0.004, 0.5, 0.06)

    def answer(self, path: str) -> Mapping[str, Any]:
        return {"id": f"man_{self.rng.getrandbits(32):08x}"}


def peers() -> dict[int, Any]:
    """What the service calls, by port."""
    return {MANDATES: Mandates(seed=31)}


STORY = Story(
    incident=Path(__file__).resolve().parent.parent,
    service="subscriptions-api",
    acts=(act(START, "Release 1.3.0", share=0.02, seed=4),),
    end=START + timedelta(minutes=84),
    load=Customers,
    seed=20261031,
    database="SUBS_DB",
    settings={"MANDATES_URL": f"http://127.0.0.1:{MANDATES}"},
    ports=(MANDATES,),
    failing=8,
    controls=10,
)

ANSWER = facts.Answer(
    operation="POST /subscriptions",
    cause="the same day of the next month does not exist after the 31st of October; yearly plans start as ever",
    kind="time",
    offence="Renew on the same day of the month",
    change=None,
    diagnose={"status": "confirmed", "culprit": None, "kind": "time", "says": ["passes at 2026-10-30T23"]},
)

expected = partial(facts.expected, answer=ANSWER)
check = partial(facts.check, answer=ANSWER)
