"""The people who pay: what they ask, when, and with which words. Seeded; what is planned does not depend on answers."""

import asyncio
import hashlib
import heapq
import itertools
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

PER_MINUTE = 45
FOREIGN_EVERY = 32
"""One of so many charges is paid with a card from abroad."""
MIX = {
    "charge": 0.56,
    "charge.invalid": 0.008,
    "charge.stranger": 0.003,
    "charge.again": 0.006,
    "show": 0.14,
    "list": 0.10,
    "customer": 0.055,
    "refund": 0.05,
    "health": 0.03,
    "customer.new": 0.006,
    "report": 0.006,
}
HOME = {
    "DE": ("EUR", "de"),
    "FR": ("EUR", "fr"),
    "NL": ("EUR", "nl"),
    "ES": ("EUR", "es"),
    "AT": ("EUR", "de"),
    "GB": ("GBP", "en"),
    "SE": ("SEK", "sv"),
    "PL": ("PLN", "pl"),
    "CH": ("CHF", "de"),
    "IE": ("EUR", "en"),
}
ABROAD = ("US", "US", "US", "CA", "BR", "JP", "AU", "IN", "ZA", "MX", "KR", "TR", "IL", "SG")
AGENTS = (
    ("checkout-web", "5.3.1", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0"),
    ("checkout-web", "5.3.1", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15"),
    ("checkout-web", "5.2.7", "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"),
    ("checkout-app", "11.0.2", "okhttp/4.12.0"),
    ("subscriptions", "3.8.0", "payments-sdk-python/2.14.0"),
    ("backoffice", "1.31.4", "payments-sdk-go/1.9.2"),
)
ITEMS = ("two books", "annual plan", "coffee, 1 kg", "train ticket", "gift card", "Schuhe, Größe 42", "łyżwy", "repair")
REASONS = ("returned", "duplicate", "fraud", "goodwill")


def secret(number: int) -> str:
    """A key that a client sends and that must never be found in what is shipped."""
    return f"sk_live_{hashlib.sha256(f'planted {number}'.encode()).hexdigest()[:32]}"


SECRETS = 12


@dataclass
class Load:
    """Everything that is asked between the start and the end, in order of time."""

    seed: int
    base_url: str
    start: float
    """Seconds since 1970 on the service's clock."""
    seconds: float
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._order = itertools.count()
        self._plan: list[tuple[float, int, str]] = []
        self._customers: list[dict[str, str]] = []
        self._charges: deque[tuple[float, str, str]] = deque(maxlen=400)
        self._keyed: deque[tuple[float, dict[str, Any], dict[str, str]]] = deque(maxlen=60)
        self._again: dict[int, tuple[dict[str, Any], dict[str, str]]] = {}
        for at, what in self._arrivals():
            self._push(at, what)
        for minute in range(5, int(self.seconds / 60), 5):
            self._push(minute * 60 + 0.4, "archive")

    def _push(self, at: float, what: str) -> int:
        number = next(self._order)
        heapq.heappush(self._plan, (at, number, what))
        return number

    def _arrivals(self) -> Iterator[tuple[float, str]]:
        """Arrivals at random, a little denser in the middle; one charge in `FOREIGN_EVERY` is paid from abroad."""
        names, weights = list(MIX), list(MIX.values())
        at, place, foreign = 1.0, 0, self._rng.randrange(FOREIGN_EVERY)
        while at < self.seconds - 1:
            what = self._rng.choices(names, weights)[0]
            if what.startswith("charge"):
                if place == foreign:
                    what = "charge.foreign"
                place += 1
                if place == FOREIGN_EVERY:
                    place, foreign = 0, self._rng.randrange(FOREIGN_EVERY)
            yield at, what
            density = 1 + 0.12 * (1 - abs(2 * at / self.seconds - 1))
            at += self._rng.expovariate(PER_MINUTE * density / 60)

    async def customers(self, client: httpx.AsyncClient, number: int) -> None:
        """Make the customers who are there already when the story begins."""
        for _ in range(number):
            await self._new_customer(client)

    async def run(
        self, until: float, move: Callable[[float], Awaitable[None]], minute: Callable[[], Awaitable[None]]
    ) -> None:
        """Ask everything that is planned before `until` (seconds on the service's clock).

        `move` sets the service's clock, `minute` is called once in each minute of it.
        """
        # No connection is used twice: the server closes one after a request that failed.
        limits = httpx.Limits(max_connections=16, max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=self.base_url, timeout=30, limits=limits) as client:
            turn = self.start + 60 * (1 + int((self._plan[0][0]) // 60)) if self._plan else until
            while self._plan and self.start + self._plan[0][0] < until:
                burst = self._burst()
                now = self.start + burst[0][0]
                if now >= turn:
                    await move(turn)
                    await minute()
                    turn += 60 * (1 + int((now - turn) // 60))
                await move(now)
                await asyncio.gather(*(self._ask(client, at, number, what) for at, number, what in burst))

    def _burst(self) -> list[tuple[float, int, str]]:
        """What comes within a quarter of a second is asked at the same time."""
        burst = [heapq.heappop(self._plan)]
        while self._plan and self._plan[0][0] - burst[0][0] < 0.25 and len(burst) < 4:
            burst.append(heapq.heappop(self._plan))
        return burst

    async def _ask(self, client: httpx.AsyncClient, at: float, number: int, what: str) -> None:
        self.counts[what] += 1
        match what:
            case "charge" | "charge.foreign" | "charge.invalid" | "charge.stranger":
                await self._charge(client, at, what)
            case "charge.again" | "charge.retry":
                known = self._again.pop(number, None) or (self._keyed[-1][1:] if self._keyed else None)
                if known:
                    await client.post("/charges", json=known[0], headers=known[1])
            case "show" | "refund":
                await self._about_a_charge(client, at, what)
            case "list":
                await client.get("/charges", params=self._filters(), headers=self._headers())
            case "customer":
                who = self._rng.choice(self._customers)["id"]
                await client.get(f"/customers/{who}", headers=self._headers())
            case "customer.new":
                await self._new_customer(client)
            case "report":
                day = {"day": "2026-11-18", "currency": self._rng.choice(["EUR", "EUR", "GBP", "SEK"])}
                await client.get("/reports/settlement", params=day, headers=self._headers(AGENTS[5]))
            case "archive":
                age = {"older_than_minutes": 12}
                await client.post("/maintenance/archive", params=age, headers=self._headers(AGENTS[5]))
            case _:
                await client.get("/health", headers={"user-agent": "kube-probe/1.33"})

    async def _charge(self, client: httpx.AsyncClient, at: float, what: str) -> None:
        body, headers = self._body(what), self._headers()
        if self._rng.random() < 0.6:
            headers["idempotency-key"] = f"ord-{self._rng.getrandbits(40):010x}"
        retried = self._rng.random() < 0.3
        wait = self._rng.uniform(8, 40)
        answer = await client.post("/charges", json=body, headers=headers)
        if answer.status_code == 201:
            self._charges.append((at, answer.json()["id"], body["amount"]))
            if "idempotency-key" in headers:
                self._keyed.append((at, body, headers))
        elif answer.status_code == 500 and retried and "idempotency-key" in headers:
            self._again[self._push(at + wait, "charge.retry")] = (body, headers)

    def _body(self, what: str) -> dict[str, Any]:
        who = self._rng.choice(self._customers)
        currency, _ = HOME[who["country"]]
        brand = self._rng.choices(["visa", "mastercard", "amex"], [0.55, 0.38, 0.07])[0]
        country = self._rng.choice(ABROAD) if what == "charge.foreign" else who["country"]
        body: dict[str, Any] = {
            "customer_id": "cus_000000000000" if what == "charge.stranger" else who["id"],
            "amount": f"{min(9000, 30 * self._rng.lognormvariate(0, 0.9)):.2f}",
            "currency": currency,
            "card": {"ref": f"card_{brand}_{self._rng.getrandbits(24):06x}", "brand": brand, "country": country},
        }
        if self._rng.random() < 0.5:
            body["description"] = self._rng.choice(ITEMS)
        if self._rng.random() < 0.45:
            extra = {"order": f"{self._rng.randrange(10**6):06d}", "channel": self._rng.choice(["web", "app", "shop"]),
                     "campaign": self._rng.choice(["autumn", "loyalty"])}  # fmt: skip
            body["metadata"] = dict(itertools.islice(extra.items(), self._rng.randint(1, 3)))
        if what == "charge.invalid":
            wrong = ({"amount": "12.5"}, {"currency": "BTC"}, {"amount": "-4.00"}, {"card": None})
            body.update(self._rng.choice(wrong))
        return body

    def _headers(self, agent: tuple[str, str, str] | None = None) -> dict[str, str]:
        name, version, words = agent or self._rng.choices(AGENTS, [30, 26, 8, 22, 10, 4])[0]
        headers = {
            "host": "payments.example.com",
            "user-agent": words,
            "x-client": f"{name}/{version}",
            "x-forwarded-for": f"203.0.113.{self._rng.randrange(1, 255)}",
            "authorization": f"Bearer {secret(self._rng.randrange(SECRETS))}",
        }
        if name == "checkout-web":
            headers["cookie"] = f"session={secret(self._rng.randrange(SECRETS))}; consent=1"
            headers["accept-language"] = self._rng.choice(["de-DE,de;q=0.9", "fr-FR", "en-GB,en;q=0.8", "pl-PL"])
        if name == "backoffice":
            headers["x-api-key"] = secret(self._rng.randrange(SECRETS))
        return headers

    def _filters(self) -> dict[str, str | int]:
        chosen: dict[str, str | int] = {}
        if self._rng.random() < 0.8:
            chosen["customer_id"] = self._rng.choice(self._customers)["id"]
        if self._rng.random() < 0.4:
            chosen["limit"] = self._rng.choice([5, 10, 50])
        if self._rng.random() < 0.2:
            chosen["status"] = self._rng.choice(["pending", "declined"])
        return chosen

    async def _about_a_charge(self, client: httpx.AsyncClient, at: float, what: str) -> None:
        draw, part, reason = self._rng.random(), self._rng.random(), self._rng.choice(REASONS)
        headers = self._headers()
        fresh = [charge for charge in self._charges if charge[0] > at - 600]
        if not fresh:
            return
        _, charge, amount = fresh[int(draw * len(fresh))]
        if what == "show":
            await client.get(f"/charges/{charge}", headers=headers)
            return
        part = 1.0 if part < 0.5 else part
        body = {"amount": f"{max(0.01, float(amount) * part):.2f}", "reason": reason}
        await client.post(f"/charges/{charge}/refunds", json=body, headers=headers)

    async def _new_customer(self, client: httpx.AsyncClient) -> None:
        country = self._rng.choice(list(HOME))
        number = len(self._customers) + 1
        body = {"email": f"customer{number:03d}@example.com", "country": country, "locale": HOME[country][1]}
        tier = self._rng.choices(["standard", "plus", "business"], [0.75, 0.18, 0.07])[0]
        answer = await client.post("/customers", json=body | {"tier": tier}, headers=self._headers())
        self._customers.append({"id": answer.json()["id"], "country": country})
