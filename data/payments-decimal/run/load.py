"""The people who pay: what they ask, when, and with which words. Seeded; what is planned does not depend on answers."""

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Any, ClassVar

import httpx
from making import load
from making.planted import SECRETS, secret

CUSTOMERS = 60
FOREIGN_EVERY = 32
"""One of so many charges is paid with a card from abroad."""
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


class Load(load.Load):
    """Customers of shops, and the people of the back office."""

    PER_MINUTE = 45
    MIX: ClassVar = {
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

    def __init__(self, seed: int, base_url: str, start: float, seconds: float) -> None:
        self._customers: list[dict[str, str]] = []
        self._charges: deque[tuple[float, str, str]] = deque(maxlen=400)
        self._keyed: deque[tuple[float, dict[str, Any], dict[str, str]]] = deque(maxlen=60)
        self._again: dict[int, tuple[dict[str, Any], dict[str, str]]] = {}
        super().__init__(seed, base_url, start, seconds)
        for minute in range(5, int(self.seconds / 60), 5):
            self.push(minute * 60 + 0.4, "archive")

    def arrivals(self) -> Iterator[tuple[float, str]]:
        """Arrivals at random, a little denser in the middle; one charge in `FOREIGN_EVERY` is paid from abroad."""
        names, weights = list(self.MIX), list(self.MIX.values())
        at, place, foreign = 1.0, 0, self.rng.randrange(FOREIGN_EVERY)
        while at < self.seconds - 1:
            what = self.rng.choices(names, weights)[0]
            if what.startswith("charge"):
                if place == foreign:
                    what = "charge.foreign"
                place += 1
                if place == FOREIGN_EVERY:
                    place, foreign = 0, self.rng.randrange(FOREIGN_EVERY)
            yield at, what
            density = 1 + 0.12 * (1 - abs(2 * at / self.seconds - 1))
            at += self.rng.expovariate(self.PER_MINUTE * density / 60)

    async def before(self, client: httpx.AsyncClient) -> None:
        for _ in range(CUSTOMERS):
            await self._new_customer(client)

    async def ask(self, client: httpx.AsyncClient, at: float, number: int, what: str) -> None:
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
                who = self.rng.choice(self._customers)["id"]
                await client.get(f"/customers/{who}", headers=self._headers())
            case "customer.new":
                await self._new_customer(client)
            case "report":
                day = {"day": "2026-11-18", "currency": self.rng.choice(["EUR", "EUR", "GBP", "SEK"])}
                await client.get("/reports/settlement", params=day, headers=self._headers(AGENTS[5]))
            case "archive":
                age = {"older_than_minutes": 12}
                await client.post("/maintenance/archive", params=age, headers=self._headers(AGENTS[5]))
            case _:
                await client.get("/health", headers={"user-agent": "kube-probe/1.33"})

    async def _charge(self, client: httpx.AsyncClient, at: float, what: str) -> None:
        body, headers = self._body(what), self._headers()
        if self.rng.random() < 0.6:
            headers["idempotency-key"] = f"ord-{self.rng.getrandbits(40):010x}"
        retried = self.rng.random() < 0.3
        wait = self.rng.uniform(8, 40)
        answer = await client.post("/charges", json=body, headers=headers)
        if answer.status_code == 201:
            self._charges.append((at, answer.json()["id"], body["amount"]))
            if "idempotency-key" in headers:
                self._keyed.append((at, body, headers))
        elif answer.status_code == 500 and retried and "idempotency-key" in headers:
            self._again[self.push(at + wait, "charge.retry")] = (body, headers)

    def _body(self, what: str) -> dict[str, Any]:
        who = self.rng.choice(self._customers)
        currency, _ = HOME[who["country"]]
        brand = self.rng.choices(["visa", "mastercard", "amex"], [0.55, 0.38, 0.07])[0]
        country = self.rng.choice(ABROAD) if what == "charge.foreign" else who["country"]
        body: dict[str, Any] = {
            "customer_id": "cus_000000000000" if what == "charge.stranger" else who["id"],
            "amount": f"{min(9000, 30 * self.rng.lognormvariate(0, 0.9)):.2f}",
            "currency": currency,
            "card": {"ref": f"card_{brand}_{self.rng.getrandbits(24):06x}", "brand": brand, "country": country},
        }
        if self.rng.random() < 0.5:
            body["description"] = self.rng.choice(ITEMS)
        if self.rng.random() < 0.45:
            extra = {"order": f"{self.rng.randrange(10**6):06d}", "channel": self.rng.choice(["web", "app", "shop"]),
                     "campaign": self.rng.choice(["autumn", "loyalty"])}  # fmt: skip
            body["metadata"] = dict(itertools.islice(extra.items(), self.rng.randint(1, 3)))
        if what == "charge.invalid":
            wrong = ({"amount": "12.5"}, {"currency": "BTC"}, {"amount": "-4.00"}, {"card": None})
            body.update(self.rng.choice(wrong))
        return body

    def _headers(self, agent: tuple[str, str, str] | None = None) -> dict[str, str]:
        name, version, words = agent or self.rng.choices(AGENTS, [30, 26, 8, 22, 10, 4])[0]
        headers = {
            "host": "payments.example.com",
            "user-agent": words,
            "x-client": f"{name}/{version}",
            "x-forwarded-for": f"203.0.113.{self.rng.randrange(1, 255)}",
            "authorization": f"Bearer {secret(self.rng.randrange(SECRETS))}",
        }
        if name == "checkout-web":
            headers["cookie"] = f"session={secret(self.rng.randrange(SECRETS))}; consent=1"
            headers["accept-language"] = self.rng.choice(["de-DE,de;q=0.9", "fr-FR", "en-GB,en;q=0.8", "pl-PL"])
        if name == "backoffice":
            headers["x-api-key"] = secret(self.rng.randrange(SECRETS))
        return headers

    def _filters(self) -> dict[str, str | int]:
        chosen: dict[str, str | int] = {}
        if self.rng.random() < 0.8:
            chosen["customer_id"] = self.rng.choice(self._customers)["id"]
        if self.rng.random() < 0.4:
            chosen["limit"] = self.rng.choice([5, 10, 50])
        if self.rng.random() < 0.2:
            chosen["status"] = self.rng.choice(["pending", "declined"])
        return chosen

    async def _about_a_charge(self, client: httpx.AsyncClient, at: float, what: str) -> None:
        draw, part, reason = self.rng.random(), self.rng.random(), self.rng.choice(REASONS)
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
        country = self.rng.choice(list(HOME))
        number = len(self._customers) + 1
        body = {"email": f"customer{number:03d}@example.com", "country": country, "locale": HOME[country][1]}
        tier = self.rng.choices(["standard", "plus", "business"], [0.75, 0.18, 0.07])[0]
        answer = await client.post("/customers", json=body | {"tier": tier}, headers=self._headers())
        self._customers.append({"id": answer.json()["id"], "country": country})
