"""OTLP/gRPC on grpcio (`pip install 'shadowlab[grpc]'`): the three `Export` calls, bodies as they come.

https://opentelemetry.io/docs/specs/otlp/#otlpgrpc
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from shadowlab.telemetry.receiver import answers
from shadowlab.telemetry.receiver.bodies import Encoding, Signal
from shadowlab.telemetry.receiver.intake import Intake
from shadowlab.telemetry.receiver.listen import Address, Listen
from shadowlab.telemetry.receiver.refusal import Refused

_SERVICES: Final = {
    Signal.TRACES: "opentelemetry.proto.collector.trace.v1.TraceService",
    Signal.LOGS: "opentelemetry.proto.collector.logs.v1.LogsService",
    Signal.METRICS: "opentelemetry.proto.collector.metrics.v1.MetricsService",
}


async def serve(intake: Intake, address: Address, listen: Listen) -> tuple[Any, int]:
    """Listen; gives the server and its port. Raises `OSError` when the address cannot be had."""
    import grpc

    # What is unpacked is limited as well: the size is looked at before and after.
    options = [("grpc.max_receive_message_length", intake.limits.body), ("grpc.so_reuseport", 0)]
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=256)
    handlers = [
        grpc.method_handlers_generic_handler(
            service, {"Export": grpc.unary_unary_rpc_method_handler(_export(intake, signal))}
        )
        for signal, service in _SERVICES.items()
    ]
    server.add_generic_rpc_handlers(handlers)
    with _as_os_error():
        if listen.certificate and listen.key:
            pair = (listen.key.read_bytes(), listen.certificate.read_bytes())
            port = server.add_secure_port(str(address), grpc.ssl_server_credentials([pair]))
        else:
            port = server.add_insecure_port(str(address))
        await server.start()
    return server, port


def _export(intake: Intake, signal: Signal) -> Callable[[bytes, Any], Awaitable[bytes]]:
    async def export(body: bytes, context: Any) -> bytes:
        import grpc

        intake.reading(len(body))
        try:
            intake.admit(dict(context.invocation_metadata() or ()).get("authorization"))
            parsed = await intake.take(signal, Encoding.PROTOBUF, body)
        except Refused as why:
            intake.status.answered(why.status, why.message)
            code = next(code for code in grpc.StatusCode if code.value[0] == why.code)
            details = (("grpc-status-details-bin", answers.refused(Encoding.PROTOBUF, why)),)
            await context.abort(code, why.message, trailing_metadata=details)
        finally:
            intake.reading(-len(body))
        intake.status.answered(200)
        return answers.taken(signal, Encoding.PROTOBUF, parsed)

    return export


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    try:
        yield
    except RuntimeError as exc:
        raise OSError(98, "the address is in use, or not of this machine") from exc
