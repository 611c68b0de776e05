"""Where to listen, for whom, behind which certificate."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from shadowlab import errors, reading

_LONGEST_TOKEN = 4096
"""Characters."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; port 0 lets the system choose."""

    host: str
    port: int

    @classmethod
    def read(cls, text: str) -> Self:
        """`HOST:PORT`, `[::1]:PORT`, or a port alone for loopback. Raises `UsageError`."""
        host, _, port = text.rpartition(":")
        if not (port.isascii() and port.isdecimal() and int(port) < 65536):
            raise errors.UsageError(f"{text!r} is no address", hint="write HOST:PORT, such as 127.0.0.1:4318")
        return cls(host.strip("[]") or "127.0.0.1", int(port))

    @property
    def loopback(self) -> bool:
        """Whether it can be reached from this machine alone."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Listen:
    """The doors of a receiver."""

    http: Address | None = Address("127.0.0.1", 4318)
    grpc: Address | None = None
    token: str | None = None
    """What a client must send as `Authorization: Bearer …`."""
    certificate: Path | None = None
    key: Path | None = None

    @classmethod
    def read(
        cls,
        *,
        http: str | None = None,
        grpc: str | None = None,
        token_file: Path | None = None,
        tls: tuple[Path, Path] | None = None,
    ) -> Self:
        """From a command's words; `off` closes a door, `tls` is a certificate and its key. Raises `UsageError`."""
        doors = [Address.read(text) if text and text != "off" else None for text in (http, grpc)]
        if not any(doors):
            raise errors.UsageError("nowhere to listen", hint="name an address with --http or --grpc")
        certificate, key = tls or (None, None)
        token = _token(token_file) if token_file else None
        return cls(http=doors[0], grpc=doors[1], token=token, certificate=certificate, key=key)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What whoever starts it should know."""
        far = [str(door) for door in (self.http, self.grpc) if door and not door.loopback]
        told = []
        if far and not self.token:
            told.append(f"{', '.join(far)} can be reached from other machines, and anyone may send: see --token-file")
        if far and self.token and not self.certificate:
            told.append(f"the token crosses the network in the clear to {', '.join(far)}: see --tls-cert")
        return tuple(told)

    def context(self) -> ssl.SSLContext | None:
        """For TLS; `None` without a certificate. Raises `UsageError` when it cannot be used."""
        if self.certificate is None or self.key is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key, password=lambda: "")
        except (OSError, ValueError) as exc:
            reason = getattr(exc, "reason", None) or getattr(exc, "strerror", None) or "they do not fit"
            raise errors.UsageError(
                f"{self.certificate} and {self.key} cannot be used: {reason}",
                hint="give a PEM certificate and its unencrypted key",
            ) from exc
        return context


def _token(place: Path) -> str:
    try:
        token = reading.text(place, _LONGEST_TOKEN, encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not plain text"
        raise errors.UsageError(
            f"the token in {place} cannot be read: {reason}", hint="name a file with one word in it"
        ) from exc
    if not token or not token.isprintable() or " " in token:
        raise errors.UsageError(f"{place} holds no token", hint="write one word into it: openssl rand -hex 32")
    return token
