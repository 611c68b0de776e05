"""Pickup codes of four digits meet each other: the more parcels, the more often."""

from collections import deque
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

DOORS = 9111
STATIONS = ("BER-01", "BER-02", "BER-07", "HAM-01", "HAM-03", "MUC-01", "MUC-02", "CGN-01")
START = datetime(2026, 10, 15, 6, 0, tzinfo=UTC)
DEPLOY = START + timedelta(minutes=25, seconds=12)


class Customers(Load):
    """Couriers bring, customers take."""

    PER_MINUTE = 40
    MIX: ClassVar = {"store": 0.78, "take": 0.12, "show": 0.07, "wrong": 0.02, "health": 0.01}
    TOGETHER = 1
    """Of two at once, the later one's snapshot would miss the parcel of the earlier one, and its id."""

    async def before(self, client: httpx.AsyncClient) -> None:
        """Some parcels wait already."""
        self._codes: deque[str] = deque(maxlen=80)
        for _ in range(60):
            await self.ask(client, 0, 0, "store")

    async def ask(self, client: httpx.AsyncClient, at: float, number: int, what: str) -> None:
        headers = {
            "user-agent": "station/4.2",
            "x-client": self.rng.choice(["station/4.2", "courier-app/9.1", "courier-app/9.0"]),
            "authorization": f"Bearer {secret(self.rng.randrange(SECRETS))}",
        }
        match what:
            case "store":
                body = {"station": self.rng.choice(STATIONS), "size": self.rng.choice("SSMML")}
                answer = await client.post("/parcels", json=body, headers=headers)
                if answer.status_code == 201:
                    self._codes.append(answer.json()["code"])
            case "take":
                if self._codes:
                    code = self._codes.popleft()
                    await client.post("/pickups", json={"code": code}, headers=headers)
            case "wrong":
                code = f"{self.rng.randrange(10**8):08d}"
                await client.post("/pickups", json={"code": code}, headers=headers)
            case "show":
                await client.get(f"/stations/{self.rng.choice(STATIONS)}", headers=headers)
            case _:
                await self.probe(client)


class Doors(Peer):
    """Opens a door within some milliseconds."""

    TAKES = (0.003, 0.6, 0.05)

    def answer(self, path: str) -> Mapping[str, Any]:
        return {"door": self.rng.randrange(1, 90)}


def peers() -> dict[int, Any]:
    """What the service calls, by port."""
    return {DOORS: Doors(seed=21)}


STORY = Story(
    incident=Path(__file__).resolve().parent.parent,
    service="lockers-api",
    acts=(
        act(START, "Release 3.3.0", share=0.005, seed=1),
        act(DEPLOY, "Release 3.4.0", share=0.02, seed=2),
    ),
    end=DEPLOY + timedelta(minutes=31),
    load=Customers,
    seed=20261015,
    database="LOCKERS_DB",
    settings={"DOORS_URL": f"http://127.0.0.1:{DOORS}"},
    ports=(DOORS,),
    failing=8,
    controls=8,
)

ANSWER = facts.Answer(
    operation="POST /parcels",
    cause="codes of four digits are drawn at random and must be unique: with some hundred of them they meet",
    kind="commit",
    offence="Shorten pickup codes to four digits",
    change="lockers-api",
    diagnose={"status": "confirmed", "culprit": "offence"},
)

expected = partial(facts.expected, answer=ANSWER)
check = partial(facts.check, answer=ANSWER)
