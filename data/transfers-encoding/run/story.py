"""Files for the bank are in the bank's character set now, and some suppliers' names have no place in it."""

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
from making.scene import PORT, Story

BANK = 9151
START = datetime(2026, 6, 18, 7, 0, tzinfo=UTC)
DEPLOY = START + timedelta(minutes=27, seconds=33)
LATIN = ("Müller & Co", "Brøndum A/S", "Café Noël", "Peña Hermanos", "Schäfer GmbH", "Smith Ltd", "Van Dijk BV")
BEYOND = ("Łódź Meble", "Dvořák a syn", "Şahin Ticaret")
HOME = dict(zip((*LATIN, *BEYOND), ("DE", "DK", "FR", "ES", "DE", "GB", "NL", "PL", "CZ", "DE"), strict=True))


class Treasurers(Load):
    """People who pay suppliers."""

    PER_MINUTE = 20
    MIX: ClassVar = {"create": 0.2, "file": 0.62, "show": 0.14, "wrong": 0.02, "health": 0.02}

    async def before(self, client: httpx.AsyncClient) -> None:
        """Some transfers wait already."""
        self._known: list[int] = []
        for _ in range(40):
            await self.ask(client, 0, 0, "create")

    async def ask(self, client: httpx.AsyncClient, at: float, number: int, what: str) -> None:
        headers = {
            "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "x-client": self.rng.choice(["treasury-web/3.3", "treasury-web/3.2", "erp/12.1"]),
            "authorization": f"Bearer {secret(self.rng.randrange(SECRETS))}",
        }
        match what:
            case "create" | "wrong":
                answer = await client.post("/transfers", json=self._transfer(what), headers=headers)
                if answer.status_code == 201:
                    self._known.append(answer.json()["id"])
            case "file":
                await client.get(f"/transfers/{self.rng.choice(self._known)}/bankfile", headers=headers)
            case "show":
                await client.get(f"/transfers/{self.rng.choice(self._known)}", headers=headers)
            case _:
                await self.probe(client)

    def _transfer(self, what: str) -> dict[str, Any]:
        name = self.rng.choice(BEYOND if self.rng.random() < 0.06 else LATIN)
        number = f"{HOME[name]}{self.rng.randrange(10, 98)}{self.rng.randrange(10**16):018d}"
        cents = "12.50" if what == "wrong" else self.rng.randrange(100, 900_000)
        return {"name": name, "iban": number, "cents": cents, "purpose": f"invoice {self.rng.randrange(10**5)}"}


class Bank(Peer):
    """Tells which bank keeps an account."""

    def answer(self, path: str) -> Mapping[str, Any]:
        return {"bic": f"{self.rng.choice(['TEST', 'BANK', 'GENO'])}{path.rpartition('/')[2][:2]}FFXXX"}


def peers() -> dict[int, Any]:
    """What the service calls, by port."""
    return {BANK: Bank(seed=51)}


STORY = Story(
    incident=Path(__file__).resolve().parent.parent,
    service="transfers-api",
    acts=(
        act(START, "Release 1.1.0", share=0.02, seed=8),
        act(DEPLOY, "Release 1.2.0", share=0.03, seed=9),
    ),
    end=DEPLOY + timedelta(minutes=31),
    load=Treasurers,
    seed=20260618,
    database="TRANSFERS_DB",
    settings={"BANK_URL": f"http://127.0.0.1:{BANK}"},
    ports=(BANK,),
    plain=("-m", "waitress", f"--listen=127.0.0.1:{PORT}", "app:app"),
    failing=8,
    controls=10,
)

ANSWER = facts.Answer(
    operation="GET /transfers/<int:number>/bankfile",
    cause="the bank's character set, ISO 8859-1, has no letters for some names of Poland, Czechia and Turkey",
    kind="commit",
    offence="Write files in the character set of the bank",
    change="transfers-api",
    diagnose={"status": "confirmed", "culprit": "offence"},
)

expected = partial(facts.expected, answer=ANSWER)
check = partial(facts.check, answer=ANSWER)
