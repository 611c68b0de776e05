"""Since all lines of an order are bought at the same time, one forgets now and then what another spent."""

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import httpx
from making import facts
from making.load import Load
from making.peers import body_of, reply
from making.planted import SECRETS, secret
from making.scene import Act, Story

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
                await client.get("/health", headers={"user-agent": "kube-probe/1.33"})

    def _order(self) -> dict[str, Any]:
        count = self.rng.choices([1, 2, 3, 4], [0.45, 0.35, 0.15, 0.05])[0]
        kinds = self.rng.choices(["pen", "pad", "lamp"], [0.5, 0.42, 0.08], k=count)
        return {
            "team": self.rng.choice(["ops", "design", "sales", "legal", "people"]),
            "budget": self.rng.choice([20_000, 50_000, 100_000]),
            "skus": [f"{kind}-{self.rng.randrange(40):02d}" for kind in kinds],
        }


class Market:
    """Says what goods cost, and holds dear ones; how long it takes differs from call to call."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await body_of(receive)
        _, _, sku, what = scope["path"].split("/")
        kind, _, number = sku.partition("-")
        if what == "hold":
            told: dict[str, Any] = {"held": True}
        else:
            told = {"price": {"pen": 120, "pad": 640, "lamp": 4_900}[kind] + 10 * int(number)}
        await asyncio.sleep(min(0.09, 0.012 * self._rng.lognormvariate(0, 0.6)))
        await reply(send, 200, json.dumps(told, separators=(",", ":")).encode())


def peers() -> dict[int, Any]:
    """What the service calls, by port."""
    return {MARKET: Market(seed=41)}


STORY = Story(
    incident=Path(__file__).resolve().parent.parent,
    service="budgets-api",
    acts=(
        Act(start=START, release="Release 4.1.0", settings={"RECORDINGS_SHARE": "0.01", "RECORDINGS_SEED": "6"}),
        Act(start=DEPLOY, release="Release 4.2.0", settings={"RECORDINGS_SHARE": "0.03", "RECORDINGS_SEED": "7"}),
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
    replay={"outcome": "reproduced"},
    diagnose={"status": "confirmed", "culprit": "offence"},
    propose={"candidates": 0},
)

expected = partial(facts.expected, answer=ANSWER)
check = partial(facts.check, answer=ANSWER)
