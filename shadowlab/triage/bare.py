"""Stacks laid bare: without what differs from error to error, so that one of those alike is read for all.

That is a stack without the message after its type, without PHP's arguments, without numbers that say where and not
what. One that tells of causes is read as it stands: the messages of these matter.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from shadowlab.triage import applied
from shadowlab.triage.rules import Rule

_BARE = """CASE WHEN length(exception_message) > 12
    THEN replace(replace(stack, ': ' || exception_message, ': '), chr(10) || exception_message, chr(10))
    ELSE stack END"""
# What tells of a cause: such a stack's messages matter, so it is read as it stands.
_CAUSES = ("Caused by: ", "Caused by:\n", "caused by: ", "[cause]: ", "direct cause of the following", "---> ")
_CHAINED = " OR ".join((
    *(f"contains(bare, '{words}')" for words in _CAUSES),
    r"contains(bare, 'Next ') AND regexp_matches(bare, '\n\s*Next ')",
    r"contains(bare, chr(39) || ': ') AND regexp_matches(bare, '\n\S[^\n]*:in [`''][^\n'']+'': ')",
))  # fmt: skip
TEXTS = f"""
WITH plain AS (SELECT error_id, exception_message, stack, {_BARE} AS bare FROM errors),
told AS (SELECT *, {_CHAINED} AS chained FROM plain)
SELECT error_id, exception_message, stack IS NULL AS stackless, chained,
       CASE WHEN chained THEN stack ELSE nullif(bare, '') END AS shown
FROM told"""
"""What errors are read from: their messages, and their stacks without them."""
_AT_ONCE = 5_000
# Each begins with what is rare, so that the engine need not look at every sign; PHP's arguments first.
# PHP's lines stay: where two are the same tells what is PHP's own.
_PLACES: tuple[Rule, ...] = (
    ("#0 ", r"\): ((?:\{[^}\n]*\}|[^\n({])*)\([^\n]*\)", r"): \1()"),
    (".php:", r"\.php:(\d+)", r".php(\1)"),
    (":", r":\d+", ":0"),
    ("line ", r"line \d+", "line 0"),
    ("0x", r"0x[0-9a-f]+", "0x0"),
    ("::h", r"::h[0-9a-f]{16}", "::h0"),
    ("$", r"\$\d+", "$0"),
    (">b__", r">b__\d+", ">b__0"),
    (">d__", r">d__\d+", ">d__0"),
    ("goroutine ", r"goroutine \d+", "goroutine 0"),
)


def bare(texts: Any) -> Any:
    """The shape of each stack, as an Arrow column, dictionary-encoded; of a table that says what `TEXTS` asks for."""
    import pyarrow as pa

    batches = texts.select(["shown", "chained"]).to_batches(max_chunksize=_AT_ONCE)
    with ThreadPoolExecutor(max_workers=2) as pool:  # Arrow works outside the interpreter's lock
        told = (pool.map if len(batches) > 1 else map)(_bare, batches)
        return pa.chunked_array(list(told), pa.dictionary(pa.int32(), pa.string()))


def _bare(batch: Any) -> Any:
    import pyarrow.compute as pc

    shown, chained = batch.columns
    plain = pc.invert(chained)
    same = shown.filter(plain).dictionary_encode()
    shapes = applied.put(same.dictionary, _PLACES).take(same.indices)
    return pc.replace_with_mask(shown, plain, shapes).dictionary_encode()
