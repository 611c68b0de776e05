"""The person's signing key: Ed25519, made on first use, kept outside every case.

It lies in `$SHADOWLAB_KEYS`, else in `~/.config/shadowlab/keys` (or `$XDG_CONFIG_HOME`), readable by its owner only, so
that whoever can write a case folder cannot thereby sign for it.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import hmac
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from shadowlab import errors
from shadowlab.writing import write

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def folder() -> Path:
    """Where the signing key lies."""
    if place := os.environ.get("SHADOWLAB_KEYS"):
        return Path(place)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "shadowlab" / "keys"


def private() -> Ed25519PrivateKey:
    """The signing key, made on first use; raises `AuditError` when it can be neither read nor made."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    place = folder() / "ed25519.pem"
    try:
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _alone(place.parent):
                if not place.exists():
                    made = Ed25519PrivateKey.generate()
                    pem = made.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
                    write(place, pem, mode=0o600)
        key = form.load_pem_private_key(place.read_bytes(), password=None)
    except (OSError, ValueError) as exc:
        raise errors.AuditError(
            f"the signing key {place} cannot be used: {exc}", hint="set SHADOWLAB_KEYS to a folder that you can write"
        ) from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise errors.AuditError(f"the signing key {place} is not Ed25519", hint="move it away; a new one is made")
    return key


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until nobody else is in here: of two keys made at once one would be lost, and what it had signed with it."""
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def secret(purpose: str) -> bytes:
    """A secret of the person's for one purpose, 32 bytes that tell nothing of the signing key; raises `AuditError`."""
    return hmac.digest(private().private_bytes_raw(), f"shadowlab: {purpose}".encode(), "sha256")


def public_text(key: Ed25519PrivateKey) -> str:
    """The raw public key, base64."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def key_id(public: str) -> str:
    """The short name of a public key (base64): 16 hex digits of its text's SHA-256."""
    return hashlib.sha256(public.encode()).hexdigest()[:16]


def signed_by(public: str, signature: str, message: bytes) -> bool:
    """Whether `signature` (base64) over `message` is by the holder of `public` (base64)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(public)).verify(base64.b64decode(signature), message)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True
