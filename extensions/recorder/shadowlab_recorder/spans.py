"""Find the server's span, wherever the recorder sits among the middlewares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import trace

if TYPE_CHECKING:
    from shadowlab_recorder.tape import Tape

RECORDING_ID = "shadowlab.recording.id"
"""The attribute by which a span finds its recording."""


def notice(tape: Tape, nearest: bool = False) -> None:
    """Remembers the span that is current here if it is the server's; those that it passed before come first.

    The first server span wins over every other. With `nearest` (where a request enters, and a current span is around
    all of it) a span of another kind is taken as long as there is no server span. Else it only lends its trace id: the
    spans that OpenTelemetry opens around `receive` are of that sort.
    """
    look_back(tape)
    _look(tape, nearest)


def look_back(tape: Tape) -> None:
    """Looks for spans where the request has been so far; until somebody asks, only the places are kept."""
    outer, inner, tape.outer, tape.inner = tape.outer, tape.inner, None, None
    if outer is not None:
        outer.run(_look, tape, True)
    if inner is not None:
        inner.run(_look, tape, tape.inside)


def _look(tape: Tape, nearest: bool) -> None:
    if tape.served:
        return
    span = trace.get_current_span()
    if span is trace.INVALID_SPAN:
        return
    context = span.get_span_context()
    if not context.is_valid:
        return
    kind = getattr(span, "kind", None)
    tape.served = kind is trace.SpanKind.SERVER
    if tape.served or (nearest and kind is not trace.SpanKind.CLIENT):
        tape.span, tape.span_context = span, context
    elif tape.context is None:
        tape.context = context


def link(tape: Tape) -> None:
    """Writes the recording's id on the server's span, once, while it is open."""
    span: Any = tape.span
    if span is not None and not tape.linked and span.is_recording():
        span.set_attribute(RECORDING_ID, tape.id)
        tape.linked = True
