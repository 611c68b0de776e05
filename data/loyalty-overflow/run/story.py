"""Points are reckoned in PostgreSQL now, in integers of four bytes, and dear purchases are too much for them."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import httpx
from making import facts, scene
from making.load import Load
from making.parts import Peer, act
from making.planted import SECRETS, secret
from making.scene import Story

POSTGRES, PARTNER = 9181, 9182
START = datetime(2026, 8, 19, 10, 0, tzinfo=UTC)
DEPLOY = START + timedelta(minutes=26, seconds=17)


class Customers(Load):
    """People who buy."""

    PER_MINUTE = 20
    MIX: ClassVar = {"book": 0.76, "show": 0.17, "open": 0.03, "stranger": 0.02, "health": 0.02}

    async def before(self, client: httpx.AsyncClient) -> None:
        """Some accounts are open already."""
        self._known: list[int] = []
        for _ in range(30):
            await self.ask(client, 0, 0, "open")

    async def ask(self, client: httpx.AsyncClient, at: float, number: int, what: str) -> None:
        headers = {
            "user-agent": "till/5.4",
            "x-client": self.rng.choice(["till/5.4", "till/5.3", "web/20.1"]),
            "authorization": f"Bearer {secret(self.rng.randrange(SECRETS))}",
        }
        match what:
            case "book" | "stranger":
                account = 10**6 if what == "stranger" else self.rng.choice(self._known)
                body = {"cents": int(min(2_000_000, 8_000 * self.rng.lognormvariate(0, 2)) + 1)}
                await client.post(f"/accounts/{account}/bookings", json=body, headers=headers)
            case "show":
                await client.get(f"/accounts/{self.rng.choice(self._known)}", headers=headers)
            case "open":
                tier = self.rng.choices(["blue", "silver", "gold"], [0.6, 0.25, 0.15])[0]
                body = {"name": f"Customer {len(self._known) + 1}", "tier": tier}
                self._known.append((await client.post("/accounts", json=body, headers=headers)).json()["id"])
            case _:
                await self.probe(client)


class Partner(Peer):
    """Takes every message."""

    STATUS = 202
    TAKES = (0.003, 0.5, 0.05)

    def answer(self, path: str) -> Mapping[str, Any]:
        return {"taken": True}


def peers() -> dict[int, Any]:
    """What the service calls, by port."""
    return {PARTNER: Partner(seed=81)}


STORY = Story(
    incident=Path(__file__).resolve().parent.parent,
    service="loyalty-api",
    acts=(
        act(START, "Release 1.1.0", share=0.02, seed=14),
        act(DEPLOY, "Release 1.2.0", share=0.03, seed=15),
    ),
    end=DEPLOY + timedelta(minutes=31),
    load=Customers,
    seed=20260819,
    database="LOYALTY_DB",
    settings={
        "LOYALTY_DB": f"postgresql://loyalty@127.0.0.1:{POSTGRES}/postgres",
        "PARTNER_URL": f"http://127.0.0.1:{PARTNER}",
    },
    ports=(POSTGRES, PARTNER),
    plain=("start.py",),
    servers=((sys.executable, str(scene.HERE / "postgres.py"), str(POSTGRES), "loyalty"),),
    failing=8,
    controls=10,
)

ANSWER = facts.Answer(
    operation="POST /accounts/{number}/bookings",
    cause="an amount times a rate is no longer an integer of four bytes when the purchase is dear",
    kind="commit",
    offence="Reckon points where the rate is",
    change="loyalty-api",
    diagnose={"status": "confirmed", "culprit": "offence"},
)

expected = partial(facts.expected, answer=ANSWER)
check = partial(facts.check, answer=ANSWER)
