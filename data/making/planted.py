"""Secrets that a load sends and that must never be found in what is shipped."""

import hashlib

SECRETS = 12


def secret(number: int) -> str:
    """A key that a client sends; number -1 is the service's own."""
    return f"sk_live_{hashlib.sha256(f'planted {number}'.encode()).hexdigest()[:32]}"
