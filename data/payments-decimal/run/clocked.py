"""Serve the service on a clock that its driver moves forward. Runs in the service's own environment.

`clocked.py ROOT START FD`: START is in seconds since 1970, FD is the end of a socket. A line `to SECONDS` moves the
clock there (never back), `flush` sends the metrics; each waits until no request is open and is answered with a line.
Between two moves the clock ticks as always, and durations are measured with the monotonic clock, which nobody moves.
"""

import os
import platform
import socket
import sys
import threading
import time
from typing import Any

import time_machine

ROOT, START, FD = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])


class Counted:
    """The application, and how many of its requests are open."""

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
    import serve

    app = Counted(serve.served())
    serve.served = lambda: app
    threading.Thread(target=obey, args=(clock, app), daemon=True).start()
    serve.main()
