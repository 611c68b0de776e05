"""Signed statements: in-toto Statement v1 in a DSSE envelope, Ed25519.

Sources: in-toto Attestation Framework v1 (statement, subject, predicateType); DSSE v1 (pre-authentication encoding).
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shadowlab import errors
from shadowlab.audit import keys
from shadowlab.case import Case, read_json
from shadowlab.records import canonical
from shadowlab.writing import write

STATEMENT = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


def seal(payload: bytes, payload_type: str) -> dict[str, Any]:
    """A DSSE envelope over `payload`, signed with this person's key; the public key travels with the signature."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer._crypto_signer import CryptoSigner
    from securesystemslib.signer._key import SSlibKey

    key = keys.private()
    public = keys.public_text(key)
    signer = CryptoSigner(key, SSlibKey.from_crypto(key.public_key(), keyid=keys.key_id(public)))
    envelope = Envelope(payload, payload_type, {})
    envelope.sign(signer)
    sealed: dict[str, Any] = envelope.to_dict()
    for signature in sealed["signatures"]:
        signature["key"] = public
    return sealed


def unseal(sealed: object, payload_type: str) -> tuple[bytes, str]:
    """The payload of an envelope and the public key (base64) that signed it.

    Raises `AuditError` when it is no envelope, of another type, or its signature does not hold.
    """
    from securesystemslib.dsse import Envelope

    try:
        document: Any = copy.deepcopy(sealed)  # `from_dict` changes its argument
        public = str(document["signatures"][0].pop("key"))
        envelope = Envelope.from_dict(document)
        signature = next(iter(envelope.signatures.values()))
        text = base64.b64encode(bytes.fromhex(signature.signature)).decode()
    except (KeyError, TypeError, IndexError, ValueError, AttributeError, StopIteration) as exc:
        raise errors.AuditError("not a signed envelope") from exc
    if envelope.payload_type != payload_type:
        raise errors.AuditError(f"the envelope holds {envelope.payload_type!r}, not {payload_type!r}")
    if not keys.signed_by(public, text, envelope.pae()):
        raise errors.AuditError("the signature does not hold: the content or the signature was changed")
    return envelope.payload, public


def sign(
    case: Case,
    *,
    subjects: Sequence[tuple[str, str]],
    predicate_type: str,
    predicate: Mapping[str, Any],
    name: str,
) -> Path:
    """Write `reports/<name>.statement.json`: a signed statement that `predicate` holds of `subjects`.

    A subject is a name and a SHA-256. Returns the file's path.
    """
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": subject, "digest": {"sha256": sha256}} for subject, sha256 in subjects],
        "predicateType": predicate_type,
        "predicate": predicate,
    }
    place = case.reports / f"{name}.statement.json"
    write(place, json.dumps(seal(canonical(statement), PAYLOAD_TYPE), indent=1).encode() + b"\n")
    return place


def read(place: Path) -> tuple[dict[str, Any], str]:
    """The statement in a file and the public key that signed it; raises `AuditError` when it cannot be trusted."""
    payload, public = unseal(read_json(place), PAYLOAD_TYPE)
    try:
        statement = json.loads(payload)
        subjects = {str(s["name"]): str(s["digest"]["sha256"]) for s in statement["subject"]}
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise errors.AuditError(f"{place.name} holds no in-toto statement") from exc
    return {**statement, "subject": subjects}, public
