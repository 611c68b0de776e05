"""The catalogue begins to say null where it said nothing; who asks it was not changed, and fails."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import httpx
from making import facts
from making.load import Load
from making.parts import act
from making.planted import SECRETS, secret
from making.scene import Neighbour, Story

CATALOG = 9131
START = datetime(2026, 9, 8, 13, 0, tzinfo=UTC)
UPSTREAM = START + timedelta(minutes=28, seconds=41)


class Shops(Load):
    """Shops that ask what a basket costs to send."""

    PER_MINUTE = 20
    MIX: ClassVar = {"quote": 0.84, "show": 0.1, "empty": 0.03, "health": 0.03}

    async def before(self, client: httpx.AsyncClient) -> None:
        """Nothing: no quote is older than the story, and the catalogue is not there yet."""
        self._known: list[int] = []

    async def ask(self, client: httpx.AsyncClient, at: float, number: int, what: str) -> None:
        headers = {
            "user-agent": "shop-sdk/2.2",
            "x-client": self.rng.choice(["shop-web/14.0", "shop-web/13.9", "shop-app/7.7"]),
            "authorization": f"Bearer {secret(self.rng.randrange(SECRETS))}",
        }
        match what:
            case "quote":
                answer = await client.post("/quotes", json=self._basket(), headers=headers)
                if answer.status_code == 201:
                    self._known.append(answer.json()["id"])
            case "show":
                if self._known:
                    await client.get(f"/quotes/{self.rng.choice(self._known)}", headers=headers)
            case "empty":
                await client.post("/quotes", json={"country": "DE", "lines": []}, headers=headers)
            case _:
                await self.probe(client)

    def _basket(self) -> dict[str, Any]:
        country = self.rng.choices(["DE", "AT", "FR", "NL", "PL"], [0.6, 0.12, 0.1, 0.1, 0.08])[0]
        lines = [
            {"sku": f"{self.rng.choices('BCV', [0.6, 0.36, 0.04])[0]}-{self.rng.randrange(10**4):04d}",
             "count": self.rng.choices([1, 2, 3], [0.7, 0.2, 0.1])[0]}
            for _ in range(self.rng.choices([1, 2, 3, 4], [0.5, 0.3, 0.15, 0.05])[0])
        ]  # fmt: skip
        return {"country": country, "lines": lines}


def peers() -> dict[int, Any]:
    """Nobody: what the service calls has telemetry of its own."""
    return {}


def catalog(version: str) -> tuple[Neighbour, ...]:
    """The catalogue at a version."""
    return (Neighbour(module="catalog", port=CATALOG, settings={"CATALOG_VERSION": version}),)


STORY = Story(
    incident=Path(__file__).resolve().parent.parent,
    service="quotes-api",
    acts=(
        act(START, "Release 2.1.0", share=0.02, seed=5, neighbours=catalog("5.1.3")),
        act(UPSTREAM, "Release 2.1.0", share=0.02, seed=5, neighbours=catalog("5.2.0")),
    ),
    end=UPSTREAM + timedelta(minutes=31),
    load=Shops,
    seed=20260908,
    database="QUOTES_DB",
    settings={"CATALOG_URL": f"http://127.0.0.1:{CATALOG}"},
    failing=8,
    controls=10,
)

ANSWER = facts.Answer(
    operation="POST /quotes",
    cause="the catalogue answers null for the dimensions of a voucher since its 5.2.0; it used to leave them out",
    kind="upstream",
    offence=None,
    change="catalog",
    diagnose={"status": "confirmed", "culprit": None, "kind": "upstream", "says": ["null at products[].dimensions"]},
)

expected = partial(facts.expected, answer=ANSWER)
check = partial(facts.check, answer=ANSWER)
