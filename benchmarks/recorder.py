"""What the recorder costs a service: `python benchmarks/recorder.py` prints tables (about two and a half minutes).

Three services (`recorder_services.py`) burn processor time until a bare request costs 3 ms. Each arrangement is a
process of its own; laps take turns in a drawn order, so that a busy machine is busy for all of them, and a lap is
compared with the bare one of its turn. Processor time is what getrusage tells of the service's process: its writer
thread included, until all recordings are on the disk.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import random
import resource
import statistics
import sys
import tempfile
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path

import recorder_services as services

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

REQUEST_MS = 3.0
TURNS, A_LAP = 50, 20
A_MINUTE = 10_000
FLOODED_S = 12
CONCURRENT = 200

# How `record` is called, and what part of the requests fails.
ARRANGEMENTS = {
    "bare": (None, 0.0),
    "nothing fails, controls off": ({"share": 0.0}, 0.0),
    "1 in 20 kept, 1 in 50 fails": ({"share": 0.05}, 0.02),
    "every request is written": ({"share": 0.0, "mirror": True}, 0.0),
}
SHORT = ("bare", "nothing fails, controls off", "1 in 20 kept, 1 in 50 fails")


def worker(pipe, shape, name, folder, peer, burn):
    """Serves laps until it is told to stop; tells processor milliseconds and each request's wall time."""
    import logging

    logging.disable(logging.CRITICAL)
    settings, fails = ARRANGEMENTS[name]
    folder = Path(tempfile.mkdtemp(dir=folder))
    services.table(folder / "charges.db")
    loop, draws, recorder = asyncio.new_event_loop(), random.Random(1), None
    app = services.SHAPES[shape](folder / "charges.db", peer, burn)
    if settings is not None:
        import shadowlab_recorder

        app = shadowlab_recorder.record(app, directory=folder / "recordings", **settings)
        recorder = app.recorder
    ask = services.asked(shape, app, loop)

    def timed(path, body):
        began = time.perf_counter()
        ask(path, body)
        return (time.perf_counter() - began) * 1000

    def lap():
        return [timed("/charges", services.charge(draws, fails)) for _ in range(A_LAP)]

    def crowd():
        async def all_at_once():
            await asyncio.gather(*(services.ask_asgi(app, "/large", os.urandom(60_000)) for _ in range(CONCURRENT)))

        loop.run_until_complete(all_at_once())

    def flood():
        """Failures at the rate of so many a minute, each at its time or, when the last took too long, right after."""
        walls, begin = [], time.perf_counter()
        for n in range(A_MINUTE * FLOODED_S // 60):
            time.sleep(max(begin + n * 60 / A_MINUTE - time.perf_counter(), 0))
            walls.append(timed("/charges", services.charge(draws, 1.0)))
        return walls

    def storm():
        return [timed("/flood", b"") for _ in range(A_MINUTE)]

    whats = {"lap": lap, "crowd": crowd, "flood": flood, "storm": storm}
    while (what := pipe.recv()) != "stop":
        before, began = processor_ms(), time.perf_counter()
        walls = whats[what]()
        told = {"walls": walls, "wall_s": time.perf_counter() - began}
        if recorder is not None:
            recorder.flush(60)
        told |= {"cpu_ms": processor_ms() - before, "peak_mb": peak_mb()}
        if recorder is not None:
            written = (folder / "recordings").glob("*.json")
            told |= {"counts": recorder.counts, "sizes": [path.stat().st_size for path in written]}
        pipe.send(told)


def processor_ms():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1000


def peak_mb():
    """The largest resident size of this process alone: `ru_maxrss` is handed down by the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@contextlib.contextmanager
def served(shape, name, folder, peer, burn=0):
    """A worker in a process of its own, as a function that takes what to do."""
    pipe, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=worker, args=(theirs, shape, name, folder, peer, burn), daemon=True)
    process.start()

    def do(what):
        pipe.send(what)
        return pipe.recv()

    yield do
    pipe.send("stop")
    process.join(10)


def steps(shape, folder, peer):
    """How often to turn the handle for a bare request of 3 ms."""
    cost = {}
    for burn in (0, 20_000):
        with served(shape, "bare", folder, peer, burn) as do:
            cost[burn] = statistics.median([do("lap")["cpu_ms"] / A_LAP for _ in range(8)][2:])
    return max(int((REQUEST_MS - cost[0]) / max(cost[20_000] - cost[0], 0.01) * 20_000), 0)


def interval(found, level=0.95, draws=2000):
    """The median, and where it lies with this confidence (percentile bootstrap)."""
    chance = random.Random(0)
    medians = sorted(statistics.median(chance.choices(found, k=len(found))) for _ in range(draws))
    tail = int(draws * (1 - level) / 2)
    return statistics.median(found), medians[tail], medians[-tail - 1]


def p99(walls):
    return sorted(walls)[int(len(walls) * 0.99)]


def p99_difference(bare, other, draws=400):
    chance = random.Random(0)
    found = sorted(
        p99(chance.choices(other, k=len(other))) - p99(chance.choices(bare, k=len(bare))) for _ in range(draws)
    )
    return p99(other) - p99(bare), found[draws // 40], found[-draws // 40 - 1]


def costs(shape, names, folder, peer):
    """Processor time and latency of the usual request, in turns."""
    burn = steps(shape, folder, peer)
    laps = {name: [] for name in names}
    with contextlib.ExitStack() as stack:
        do = {name: stack.enter_context(served(shape, name, folder, peer, burn)) for name in names}
        for warm in list(do.values()) * 3:
            warm("lap")
        for turn in range(TURNS):
            for name in random.Random(turn).sample(names, len(names)):
                laps[name].append(do[name]("lap"))
    bare = [lap["cpu_ms"] / A_LAP for lap in laps["bare"]]
    walls = {name: [wall for lap in found for wall in lap["walls"]] for name, found in laps.items()}
    for name, found in laps.items():
        cpu = [lap["cpu_ms"] / A_LAP for lap in found]
        quarter, _, three = statistics.quantiles(cpu)
        line = f"| {shape} | {name} | {statistics.median(cpu):.2f} ({quarter:.2f} to {three:.2f}) |"
        if name == "bare":
            print(f"{line} | | {p99(walls[name]):.1f} | |")
            continue
        more = [1000 * (b - a) for a, b in zip(bare, cpu, strict=True)]
        micros, least, most = interval(more)
        share = [100 * each / 1000 / statistics.median(bare) for each in (micros, least, most)]
        line += (
            f" {micros:+.0f} ({least:+.0f} to {most:+.0f}) | {share[0]:+.1f} % ({share[1]:+.1f} to {share[2]:+.1f}) |"
        )
        later, early, late = p99_difference(walls["bare"], walls[name])
        print(f"{line} {p99(walls[name]):.1f} | {later:+.1f} ({early:+.1f} to {late:+.1f}) |")
    return [size for name in laps for size in laps[name][-1].get("sizes", ())]


def memory(folder, peer):
    """Largest resident size after 200 concurrent requests of 60 kB each way."""
    found = {}
    for name in ("bare", "1 in 20 kept, 1 in 50 fails", "every request is written"):
        with served("FastAPI alone", name, folder, peer) as do:
            before = do("lap")["peak_mb"]
            found[name] = do("crowd")["peak_mb"] - before
    for name, grown in found.items():
        beside = grown - found["bare"]
        print(f"memory, {CONCURRENT} at once, 60 kB each way, {name}: {grown:.1f} MB more ({beside:+.1f} beside bare)")


def flooded(folder, peer, burn):
    """Failures alike: 10,000 a minute at a service of 3 ms, and 10,000 as fast as they go at one that does nothing."""
    for what, words, steps_ in (("flood", f"{A_MINUTE:,} a minute, 3 ms each", burn), ("storm", "no work at all", 0)):
        for name in ("bare", "nothing fails, controls off"):
            with served("FastAPI alone", name, folder, peer, steps_) as do:
                do("lap")
                told = do(what)
            count, allowed = len(told["walls"]), 20 * (1 + told["wall_s"] / 60)
            counts = told.get("counts", {"written": 0, "limited": 0})
            print(
                f"{count:,} failures, {words}, {name}: {count / told['wall_s']:,.1f} a second,"
                f" {told['cpu_ms'] / count * 1000:,.0f} µs CPU each, median {statistics.median(told['walls']):.2f} ms,"
                f" p99 {p99(told['walls']):.2f} ms; wrote {counts['written']} (the bucket allows {allowed:.0f}),"
                f" limited {counts['limited']:,}"
            )


def databases(folder):
    """A select, an update and an insert in PostgreSQL: kept by statements, and by the server's snapshot."""
    import postgres
    import psycopg
    import shadowlab_recorder

    def work(connection):
        connection.execute("select * from charges where id = %s", (3,)).fetchall()
        connection.execute("update charges set amount = %s where id = %s", (7, 3))
        connection.execute("update charges set amount = %s where id = %s", (7, 4))
        connection.execute("insert into charges (amount) values (%s) returning id", (1,)).fetchone()
        connection.rollback()

    with postgres.serving() as place, psycopg.connect(place) as connection:
        connection.execute("create table charges (id serial primary key, amount numeric, note text)")
        connection.execute("insert into charges (amount, note) select n, 'x' from generate_series(1, 1000) n")
        connection.commit()
        ways = {"bare": work, "statements kept": None, "snapshot held": None}
        for name, snapshot in (
            ("statements kept", None),
            ("snapshot held", shadowlab_recorder.PostgresSnapshot(place)),
        ):
            ways[name] = shadowlab_recorder.record(work, directory=folder / "pg", share=0.0, snapshot=snapshot)
        times = {name: [] for name in ways}
        for lap in range(9):
            for name, call in ways.items():
                before, began = time.process_time(), time.perf_counter()
                for _ in range(100):
                    call(connection)
                if lap:
                    times[name].append(((time.process_time() - before) * 10, (time.perf_counter() - began) * 10))
        for name, found in times.items():
            cpu, wall = (statistics.median(each[n] for each in found) for n in (0, 1))
            low, high = min(each[0] for each in found), max(each[0] for each in found)
            print(
                f"PostgreSQL, four statements, {name}: {cpu:.2f} ms CPU ({low:.2f} to {high:.2f}), {wall:.2f} ms wall"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = ("costs", "memory", "flood", "databases")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(parts)}; all when none is named")
    asked = set(parser.parse_args().parts) or set(parts)
    with tempfile.TemporaryDirectory() as made, ThreadingHTTPServer(("127.0.0.1", 0), services.Peer) as server:
        context = multiprocessing.get_context("fork")
        serving = context.Process(target=server.serve_forever, daemon=True)
        serving.start()
        folder, peer = Path(made), f"http://127.0.0.1:{server.server_port}/"
        if "costs" in asked:
            print(f"| service ({TURNS} turns of {A_LAP}) | arrangement | CPU ms: median (quartiles) |", end="")
            print(" µs more, 95 % | share, 95 % | p99 ms | difference, 95 % |\n|" + " --- |" * 7)
            sizes = []
            for shape in services.SHAPES:
                names = SHORT if sizes else tuple(ARRANGEMENTS)
                sizes += costs(shape, names, folder, peer)
            middle, largest = statistics.median(sizes), max(sizes)
            print(f"\na recording: median {middle:,.0f} bytes, largest {largest:,} (n = {len(sizes):,})")
        if "memory" in asked:
            memory(folder, peer)
        if "flood" in asked:
            flooded(folder, peer, steps("FastAPI alone", folder, peer))
        if "databases" in asked:
            databases(folder)
        serving.terminate()


if __name__ == "__main__":
    threading.stack_size(256 * 1024)
    main()
