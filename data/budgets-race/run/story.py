"""Since all lines of an order are bought at the same time, one forgets now and then what another spent."""

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

MARKET = 9141
START = datetime(2026, 6, 11, 7, 0, tzinfo=UTC)
DEPLOY = START + timedelta(minutes=26, seconds=3)


class Teams(Load):
    """Teams that buy."""

    PER_MINUTE = 20
    MIX: ClassVar = {"order": 0.8, "show": 0.15, "poor": 0.02, "health": 0.03}
    TOGETHER = 1
    """The race is within a request. Between two, the later one's snapshot would miss what the earlier one writes."""

    async def before(self, client: httpx.AsyncClient) -> None:
        """Some orders are made already."""
        self._known: list[int] = []
        for _ in range(10):
            await self.ask(client, 0, 0, "order")

    async def ask(self, client: httpx.AsyncClient, at: float, number: int, what: str) -> None:
        headers = {
            "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
            "x-client": self.rng.choice(["desk/6.0.1", "desk/6.0.0", "erp-sync/2.8"]),
            "cookie": f"session={secret(self.rng.randrange(SECRETS))}",
        }
        match what:
            case "order" | "poor":
                body = self._order() | ({"budget": 10} if what == "poor" else {})
                answer = await client.post("/orders", json=body, headers=headers)
                if answer.status_code == 201:
                    self._known.append(answer.json()["id"])
            case "show":
                await client.get(f"/orders/{self.rng.choice(self._known)}", headers=headers)
            case _:
                await self.probe(client)

    def _order(self) -> dict[str, Any]:
        count = self.rng.choices([1, 2, 3, 4], [0.45, 0.35, 0.15, 0.05])[0]
        kinds = self.rng.choices(["pen", "pad", "lamp"], [0.5, 0.42, 0.08], k=count)
        return {
            "team": self.rng.choice(["ops", "design", "sales", "legal", "people"]),
            "budget": self.rng.choice([20_000, 50_000, 100_000]),
            "skus": [f"{kind}-{self.rng.randrange(40):02d}" for kind in kinds],
        }


class Market(Peer):
    """Says what goods cost, and holds dear ones."""

    TAKES = (0.012, 0.6, 0.09)

    def answer(self, path: str) -> Mapping[str, Any]:
        _, _, sku, what = path.split("/")
        kind, _, number = sku.partition("-")
        if what == "hold":
            return {"held": True}
        return {"price": {"pen": 120, "pad": 640, "lamp": 4_900}[kind] + 10 * int(number)}


def peers() -> dict[int, Any]:
    """What the service calls, by port."""
    return {MARKET: Market(seed=41)}


STORY = Story(
    incident=Path(__file__).resolve().parent.parent,
    service="budgets-api",
    acts=(
        act(START, "Release 4.1.0", share=0.01, seed=6),
        act(DEPLOY, "Release 4.2.0", share=0.03, seed=7),
    ),
    end=DEPLOY + timedelta(minutes=31),
    load=Teams,
    seed=20260611,
    database="BUDGETS_DB",
    settings={"MARKET_URL": f"http://127.0.0.1:{MARKET}"},
    ports=(MARKET,),
    failing=8,
    controls=10,
)

ANSWER = facts.Answer(
    operation="POST /orders",
    cause="two lines bought at the same time read what remains before either has written it: one is forgotten",
    kind="commit",
    offence="Buy all lines at the same time",
    change="budgets-api",
    diagnose={"status": "confirmed", "culprit": "offence"},
)

expected = partial(facts.expected, answer=ANSWER)
check = partial(facts.check, answer=ANSWER)
