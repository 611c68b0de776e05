"""What a replay costs and whether it is always the same: `python benchmarks/replay.py` prints a table.

The service is FastAPI, SQLAlchemy on SQLite and httpx (`tests/assets/orders`); 300 exemplars, most of them failing.
Processor time is what counts: wall time on a shared machine varies by two to three times.
"""

import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import msgspec
import orders

from shadowlab.case import open_case
from shadowlab.replay import Fixture, Runner, minimise, take_in

EXEMPLARS = 300
FRESH = 5


def exemplars() -> list[Fixture]:
    """150 requests that fail on a Decimal, 72 that fail on a division, 78 that pass."""
    coupons = ["HALF"] * 150 + ["FREE"] * 72 + [None] * 78
    return [orders.fixture(orders.document(n, coupon, rand_seed=n)) for n, coupon in enumerate(coupons)]


def cost(work: Callable[[], object]) -> tuple[float, float]:
    """Processor seconds of all children, and wall seconds."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return spent, time.perf_counter() - started


def batch(fixtures: list[Fixture], snapshot: bytes, *, sandbox: str = "embedded", workers: int = 2) -> list[str]:
    # Without its lock: what servers share would be paid for by a process that outlives the measurement.
    service = msgspec.structs.replace(orders.service(), lock=None)
    with Runner(orders.TREE, service, sandbox=sandbox, snapshots=lambda _: snapshot, workers=workers) as runner:
        return [runs[0].digest for runs in runner.run_many([(f, 1) for f in fixtures], perturb=False)]


def bare_fork() -> float:
    """Processor milliseconds of a fork that does nothing, in a process that has imported as much."""
    import fastapi  # noqa: F401  # what a replay's server holds when it forks
    import httpx  # noqa: F401  # what a replay's server holds when it forks
    import sqlalchemy  # noqa: F401  # what a replay's server holds when it forks

    def fork() -> None:
        for _ in range(100):
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)

    own = time.process_time()
    children, _ = cost(fork)
    return (children + time.process_time() - own) * 10


def second_sandbox() -> str:
    try:
        import docker

        docker.from_env(timeout=5).ping()
        return "docker"
    except Exception:  # whatever is wrong with the engine, the table names the sandbox that was taken
        return "bwrap" if shutil.which("bwrap") else "unconfined"


def minimised(folder: Path) -> str:
    noise = {f"key-{n}": {"text": "x" * 40, "more": [n, {"deep": [1, 2, 3]}]} for n in range(36)}
    body = {"item": "tea", **noise, "coupon": "HALF", "lines": [{"n": n} for n in range(40)]}
    case = open_case(folder / "case")
    take_in(
        case,
        [orders.written(folder / "tapes", orders.document(1, request={**orders.document(1)["request"], "body": body}))],
    )
    found = minimise(case, f"{1:032x}", source=orders.repository(folder / "shop"), revision="HEAD")
    return f"{found.before_bytes} -> {found.after_bytes} bytes in {found.replays} replays"


def main() -> None:
    rows: list[tuple[str, str, str]] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        snapshot = orders.database(folder / "bench.sqlite").read_bytes()
        fixtures = exemplars()
        start_cpu, _ = cost(lambda: batch(fixtures[:1], snapshot))
        digests: list[list[str]] = []
        cpu, wall = cost(lambda: digests.append(batch(fixtures, snapshot)))
        each = (cpu - start_cpu) / (EXEMPLARS - 1) * 1000
        fork = bare_fork()
        fresh = statistics.median(cost(lambda f=f: batch([f], snapshot))[0] for f in fixtures[:FRESH]) * 1000
        other = second_sandbox()
        for sandbox, workers in (("embedded", 1), ("embedded", 3), ("embedded", 4), (other, 2)):
            digests.append(batch(fixtures, snapshot, sandbox=sandbox, workers=workers))
        equal = sum(len(set(column)) == 1 for column in zip(*digests, strict=True))
        rows += [
            ("processor time of one replay", f"{each:.1f} ms", "at most 45 ms"),
            ("… against a bare fork", f"{each / fork:.1f} times ({fork:.1f} ms)", "–"),
            ("processor time of a fresh process", f"{fresh:.0f} ms, {fresh / each:.0f} times as much", "at least 15"),
            ("replays a second, two workers", f"{EXEMPLARS / wall:.1f}", "at least 15"),
            ("300 exemplars with the start", f"{wall:.1f} s", "at most 30 s"),
            (f"equal digests, 300 x 5, embedded and {other}, 1 to 4 workers", f"{equal} of {EXEMPLARS}", "300"),
            ("a 3.5 kB body made small", minimised(folder), "100 bytes, 200 replays"),
        ]  # fmt: skip
    print("| | measured | limit |\n| --- | --- | --- |")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
