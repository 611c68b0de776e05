"""Receipts are in the customer's language now, and one customer in ten never told which that is."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import httpx
from making import facts
from making.load import Load
from making.parts import Mail, act
from making.planted import SECRETS, secret
from making.scene import Story

MAIL = 9161
START = datetime(2026, 3, 12, 9, 0, tzinfo=UTC)
DEPLOY = START + timedelta(minutes=26, seconds=48)
WORDS = ("order", "late", "parcel", "broken", "refund", "where", "invoice", "twice", "please", "wrong", "size", "again")


class Customers(Load):
    """People who want help."""

    PER_MINUTE = 20
    MIX: ClassVar = {"open": 0.76, "show": 0.16, "come": 0.03, "stranger": 0.02, "health": 0.03}

    async def before(self, client: httpx.AsyncClient) -> None:
        """Some customers are there already; those of old told no language."""
        self._customers: list[int] = []
        self._tickets: list[int] = []
        for number in range(60):
            await self._come(client, {} if number % 10 == 7 else {"language": self.rng.choice(["de", "en", "fr"])})

    async def ask(self, client: httpx.AsyncClient, at: float, number: int, what: str) -> None:
        match what:
            case "open" | "stranger":
                customer = 10**6 if what == "stranger" else self.rng.choice(self._customers)
                subject = " ".join(self.rng.choices(WORDS, k=self.rng.randint(2, 6)))
                body = {"customer": customer, "subject": subject}
                answer = await client.post("/tickets", json=body, headers=self._headers())
                if answer.status_code == 201:
                    self._tickets.append(answer.json()["id"])
            case "show":
                if self._tickets:
                    await client.get(f"/tickets/{self.rng.choice(self._tickets)}", headers=self._headers())
            case "come":
                await self._come(client, {"language": self.rng.choice(["de", "en", "fr"])})
            case _:
                await self.probe(client)

    async def _come(self, client: httpx.AsyncClient, profile: dict[str, str]) -> None:
        email = f"customer{len(self._customers) + 1:03d}@example.com"
        answer = await client.post("/customers", json={"email": email, **profile}, headers=self._headers())
        self._customers.append(answer.json()["id"])

    def _headers(self) -> dict[str, str]:
        return {
            "user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) AppleWebKit/605.1.15",
            "x-client": self.rng.choice(["help-web/2.9", "help-web/2.8", "shop-app/7.1"]),
            "cookie": f"session={secret(self.rng.randrange(SECRETS))}",
        }


def peers() -> dict[int, Any]:
    """What the service calls, by port."""
    return {MAIL: Mail(seed=61)}


STORY = Story(
    incident=Path(__file__).resolve().parent.parent,
    service="tickets-api",
    acts=(
        act(START, "Release 2.2.0", share=0.02, seed=10),
        act(DEPLOY, "Release 2.3.0", share=0.03, seed=11),
    ),
    end=DEPLOY + timedelta(minutes=31),
    load=Customers,
    seed=20260312,
    database="TICKETS_DB",
    settings={"MAIL_URL": f"http://127.0.0.1:{MAIL}"},
    ports=(MAIL,),
    plain=("start.py",),
    failing=8,
    controls=10,
)

ANSWER = facts.Answer(
    operation="POST tickets",
    cause="customers who came before there were languages have no profile, and the receipt asks for its language",
    kind="commit",
    offence="Acknowledge in the customer's language",
    change="tickets-api",
    # Without the offence the request goes on to the mail service, which the failing one never reached: no recording
    # holds its answer, and what was never recorded proves nothing.
    diagnose={"status": "supported", "culprit": "offence"},
)

expected = partial(facts.expected, answer=ANSWER)
check = partial(facts.check, answer=ANSWER)
