"""Serve a service on a clock that its driver moves forward. Runs in the service's own environment.

`clocked.py ROOT MODULE START FD`: MODULE, in ROOT, has `served()`, the application, and `main()`, which serves it.
START is in seconds since 1970, FD is the end of a socket. A line `to SECONDS` moves the clock there (never back),
`flush` sends the metrics; each waits until no request is open and is answered with a line. Between two moves the clock
ticks as always, and durations are measured with the monotonic clock, which nobody moves.
"""

import importlib
import os
import platform
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import time_machine

ROOT, MODULE, START, FD = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])


class Counted:
    """An ASGI application, and how many of its requests are open."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.open = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        self.open += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.open -= 1

    def wait(self) -> None:
        """Until no request is open: a span ends a moment after its response is sent."""
        while self.open:
            time.sleep(0.0005)


class CountedWsgi(Counted):
    """A WSGI application; a request is over when its answer is closed."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self._lock = threading.Lock()

    def __call__(self, environ: Any, start_response: Any) -> Iterator[bytes]:  # type: ignore[override]  # WSGI
        self._count(1)
        try:
            pieces = self.app(environ, start_response)
            try:
                yield from pieces
            finally:
                getattr(pieces, "close", lambda: None)()
        finally:
            self._count(-1)

    def _count(self, more: int) -> None:
        with self._lock:
            self.open += more


class CountedCalls(CountedWsgi):
    """A function that takes messages, and how many it has in hand."""

    def __call__(self, *args: Any) -> Any:  # type: ignore[override]  # as the function's
        self._count(1)
        try:
            return self.app(*args)
        finally:
            self._count(-1)


KINDS = {"asgi": Counted, "wsgi": CountedWsgi, "calls": CountedCalls}


def obey(clock: time_machine.Traveller, app: Counted) -> None:
    """Do what the driver says until it hangs up."""
    from opentelemetry import metrics

    with socket.socket(fileno=FD) as line, line.makefile("rw") as talk:
        for order in talk:
            word, _, when = order.strip().partition(" ")
            app.wait()
            if word == "to":
                clock.move_to(max(float(when), time.time()))
            elif word == "flush":
                metrics.get_meter_provider().force_flush()
            print(f"{time.time():.6f}", file=talk, flush=True)


if __name__ == "__main__":
    sys.path[0] = ROOT
    os.chdir(ROOT)
    # Recordings name the platform; the build of this machine's kernel is nobody's business.
    platform.platform = lambda *_: f"Linux-{platform.machine()}-with-{''.join(platform.libc_ver())}"
    clock = time_machine.travel(START, tick=True).start()
    module = importlib.import_module(MODULE)
    app = KINDS[getattr(module, "KIND", "asgi")](module.served())
    module.served = lambda: app
    threading.Thread(target=obey, args=(clock, app), daemon=True).start()
    module.main()
