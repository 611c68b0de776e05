"""What the recorder costs a service: `python benchmarks/recorder.py` prints tables (about thirteen minutes).

Three services (`recorder_services.py`) burn processor time until a bare request costs 3 ms on this machine. Each
arrangement is a process of its own, and all of a start are forks of one, which has loaded the libraries. Where that
one's memory lies, and the seed of hashes, are drawn anew for each start, and each fork moves what it makes and how deep
it calls by draws of its own (`recorder_places.py`): a second bare one at the place of the first would not show what a
place costs. Within a start short laps take turns in a drawn order on one core, whom they ask is on another, and a lap
is compared with the bare one of its turn. One more bare arrangement shows what such a comparison finds where there is
nothing to find; another one is the floor: wrappers that only keep references. Processor time is the clock of the
service's process, system time and its writer thread included, until all recordings are on the disk. What the handler
burns is the same in every arrangement, and nine tenths of a request: it is timed by its own thread's clock and left out
of the difference, which is then of the rest alone; the difference with it stands beside. Means are without the
outermost tenth of turns on either side; intervals are of draws of starts and, within them, of turns.

How long requests take is asked in long laps, for whose writing nobody waits before their end, so that requests run
beside the writer as they do in a service, on one core with it. One that fails is compared with a bare one that fails.
What else runs on the machine moves that more than the recorder does. So the time that the service's thread was ready
and no processor was free, by the kernel's count, is left out, as far as it is longer than what other threads of the
service ran meanwhile; waiting for the interpreter is not left out. All of it stands beside.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import recorder_places as places
import recorder_services as services

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

REQUEST_MS = 3.0
STARTS, TURNS, WARM, A_LAP = 16, 40, 6, 5
LONG_STARTS, LONG_TURNS, LONG_WARM, A_LONG_LAP = 10, 5, 1, 100
TRIMMED = 0.1
A_MINUTE = 10_000
FLOODED_S = 12
CONCURRENT = 200
CORES = os.sched_getaffinity(0)

# How `record` is called, and what part of the requests fails.
ARRANGEMENTS = {
    "bare": (None, 0.0),
    "bare, once more": (None, 0.0),
    "bare, 1 in 50 fails": (None, 0.02),
    "bare, 1 in 50 fails, once more": (None, 0.02),
    "floor of any wrapper": (None, 0.0),
    "nothing fails, controls off": ({"share": 0.0}, 0.0),
    "1 in 20 kept, 1 in 50 fails": ({"share": 0.05}, 0.02),
    "every request is written": ({"share": 0.0, "mirror": True}, 0.0),
}
COMPARED = tuple(name for name in ARRANGEMENTS if not name.endswith(("fails, once more", "is written")))
TIMED = tuple(name for name in ARRANGEMENTS if not name.startswith(("floor", "every")))


def pinned(core):
    """This process on one of the cores that it may use, counted from either end."""
    os.sched_setaffinity(0, {sorted(CORES)[core]})


def worker(pipe, shape, name, folder, peer, burn, place):
    """Serves laps until it is told to stop; tells processor milliseconds and each request's wall time."""
    import logging

    depth = 0
    if place is not None:
        chance = random.Random(place)
        depth = chance.randrange(places.DEEPEST)
        places.move(chance)
    logging.disable(logging.CRITICAL)
    settings, fails = ARRANGEMENTS[name]
    writes = fails or any((settings or {}).values())
    folder = Path(tempfile.mkdtemp(dir=folder))
    services.table(folder / "charges.db")
    queued = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
    loop, draws, recorder = asyncio.new_event_loop(), random.Random(1), None
    kept = []
    app = services.SHAPES[shape](folder / "charges.db", peer, burn)
    if name.startswith("floor"):
        import recorder_floor

        app = recorder_floor.floored(app, shape)
    if settings is not None:
        import shadowlab_recorder

        app = shadowlab_recorder.record(app, directory=folder / "recordings", **settings)
        recorder = app.recorder
    ask = services.asked(shape, app, loop)

    def timed(path, body):
        waited, others, began = queued_ms(queued), processor_ms() - thread_ms(), time.perf_counter()
        ask(path, body)
        wall = (time.perf_counter() - began) * 1000
        waited, others = queued_ms(queued) - waited, processor_ms() - thread_ms() - others
        kept.append(wall - max(waited - others, 0))
        return wall

    def lap(length=A_LAP):
        return [timed("/charges", services.charge(draws, fails)) for _ in range(length)]

    def long_lap():
        return lap(A_LONG_LAP)

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

    whats = {"lap": lap, "long lap": long_lap, "crowd": crowd, "flood": flood, "storm": storm}
    while (what := pipe.recv()) != "stop":
        kept.clear()
        before, burnt, began = processor_ms(), services.burnt_ns, time.perf_counter()
        walls = places.deeper(depth, whats[what])
        told = {"walls": walls, "own": list(kept), "wall_s": time.perf_counter() - began}
        if recorder is not None and (writes or what != "lap"):  # a flood fails whatever its arrangement says
            recorder.flush(60)
        told |= {"cpu_ms": processor_ms() - before, "peak_mb": peak_mb()}
        told["other_ms"] = told["cpu_ms"] - (services.burnt_ns - burnt) / 1e6
        if recorder is not None:
            written = (folder / "recordings").glob("*.json")
            told |= {"counts": recorder.counts, "sizes": [path.stat().st_size for path in written]}
        pipe.send(told)


def processor_ms():
    return time.clock_gettime_ns(time.CLOCK_PROCESS_CPUTIME_ID) / 1e6


def thread_ms():
    return time.thread_time_ns() / 1e6


def queued_ms(place):
    """How long a thread was ready to run and waited for a processor, from its `schedstat`."""
    return int(os.pread(place, 100, 0).split()[1]) / 1e6


def peak_mb():
    """The largest resident size of this process alone: `ru_maxrss` is handed down by the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@contextlib.contextmanager
def served(shape, name, folder, peer, burn=0, way="spawn", place=None):
    """A worker in a process of its own, as a function that takes what to do; `place` seeds where it lies."""
    context = multiprocessing.get_context(way)
    pipe, theirs = context.Pipe()
    process = context.Process(target=worker, args=(theirs, shape, name, folder, peer, burn, place), daemon=True)
    process.start()

    def do(what):
        pipe.send(what)
        return pipe.recv()

    yield do
    pipe.send("stop")
    process.join(10)


def started(pipe, seed, *given):
    """One start: forks a worker for each arrangement when the libraries are loaded; sends their laps, turn by turn."""
    shape, names, (what, warm, count), folder, peer, burn = given
    services.load(shape)
    pinned(-1)
    chance = random.Random(seed)
    with contextlib.ExitStack() as stack:
        forks = {
            name: stack.enter_context(served(shape, name, folder, peer, burn, "fork", chance.getrandbits(32)))
            for name in chance.sample(names, len(names))
        }
        pinned(0)
        turns = [{name: forks[name](what) for name in chance.sample(names, len(names))} for _ in range(warm + count)]
    pipe.send(turns[warm:])


def steps(shape, folder, peer):
    """How often to turn the handle for a bare request of 3 ms, found in three steps: what a turn costs is not known."""
    burn, each = 20_000, None
    for _ in range(3):
        with served(shape, "bare", folder, peer, burn) as do:
            cost = statistics.median([do("lap")["cpu_ms"] / A_LAP for _ in range(22)][2:])
            each = each or timed_handle()
        burn = max(int(burn + (REQUEST_MS - cost) / each), 0)
    return burn


def timed_handle():
    """Milliseconds of one turn of the handle."""
    found = []
    for _ in range(9):
        before = time.process_time()
        services.burnt(100_000)
        found.append((time.process_time() - before) * 1000 / 100_000)
    return statistics.median(found)


def drawn(chance, groups):
    """As many groups as there are, with repetition, and in each as many of its own."""
    return [each for group in chance.choices(groups, k=len(groups)) for each in chance.choices(group, k=len(group))]


def interval(groups, of, level=0.95, draws=1000):
    """`of` all, and where it lies with this confidence: a percentile bootstrap of starts and of turns within them."""
    chance = random.Random(0)
    found = sorted(of(drawn(chance, groups)) for _ in range(draws))
    tail = int(draws * (1 - level) / 2)
    return of([each for group in groups for each in group]), found[tail], found[-tail - 1]


def p99(walls):
    return sorted(walls)[int(len(walls) * 0.99)]


def p99_difference(turns, of="walls"):
    """Of what was measured in the same turns."""
    return p99([each for _, lap in turns for each in lap[of]]) - p99([each for bare, _ in turns for each in bare[of]])


def more_cpu(turns, of="cpu_ms"):
    """Microseconds a request more than the bare one of the same turn."""
    each = sorted(1000 * (lap[of] - bare[of]) / A_LAP for bare, lap in turns)
    outer = int(len(each) * TRIMMED)
    return statistics.fmean(each[outer : len(each) - outer])


def more_beside(turns):
    """The same of all but the burning."""
    return more_cpu(turns, "other_ms")


def beside(name):
    """The bare arrangement of the same requests."""
    fails = ARRANGEMENTS[name][1]
    return next(bare for bare, (settings, failing) in ARRANGEMENTS.items() if settings is None and failing == fails)


def measured(starts, *given):
    """The turns of each start: what each arrangement's lap was."""
    context, found = multiprocessing.get_context("spawn"), []
    for seed in range(starts):
        os.environ["PYTHONHASHSEED"] = str(seed + 1)  # the same for all arrangements of this start
        pipe, theirs = context.Pipe()
        process = context.Process(target=started, args=(theirs, seed, *given))
        process.start()
        found.append(pipe.recv())
        process.join()
    return found


def costs(shape, folder, peer):
    """Processor time of the usual request, in turns."""
    starts = measured(STARTS, shape, COMPARED, ("lap", WARM, TURNS), folder, peer, steps(shape, folder, peer))
    flat = {name: [turn[name] for turns in starts for turn in turns] for name in COMPARED}
    bare = statistics.median(lap["cpu_ms"] / A_LAP for lap in flat["bare"])
    for name, found in flat.items():
        quarter, middle, three = statistics.quantiles(lap["cpu_ms"] / A_LAP for lap in found)
        line = f"| {shape} | {name} | {middle:.2f} ({quarter:.2f} to {three:.2f}) |"
        if name == beside(name):
            print(f"{line} | | |", flush=True)
            continue
        turns = [[(turn[beside(name)], turn[name]) for turn in turns] for turns in starts]
        whole, rest = interval(turns, more_cpu), interval(turns, more_beside)
        share = [each / 10 / bare for each in rest]
        for middle, least, most in (whole, rest):
            line += f" {middle:+.0f} ({least:+.0f} to {most:+.0f}) |"
        print(f"{line} {share[0]:+.2f} % ({share[1]:+.2f} to {share[2]:+.2f}) |", flush=True)


def latencies(shape, folder, peer):
    """How long the slowest of the usual requests take, in turns of long laps."""
    plan = ("long lap", LONG_WARM, LONG_TURNS)
    starts = measured(LONG_STARTS, shape, TIMED, plan, folder, peer, steps(shape, folder, peer))
    for name in TIMED:
        line = f"| {shape} | {name} |"
        turns = [[(turn[beside(name)], turn[name]) for turn in turns] for turns in starts]
        for of in ("own", "walls"):
            found = [each for turns in starts for turn in turns for each in turn[name][of]]
            line += f" {statistics.median(found):.2f} | {p99(found):.2f} |"
            later, early, late = interval(turns, partial(p99_difference, of=of), draws=400)
            line += " |" if name == beside(name) else f" {later:+.2f} ({early:+.2f} to {late:+.2f}) |"
        print(line, flush=True)


def sizes(folder, peer):
    """What a recording of the usual request takes."""
    with served(next(iter(services.SHAPES)), "every request is written", folder, peer) as do:
        found = [do("lap") for _ in range(20)][-1]["sizes"]
    print(f"\na recording: median {statistics.median(found):,.0f} bytes, largest {max(found):,} (n = {len(found):,})")


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
    parts = ("costs", "latencies", "memory", "flood", "databases")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(parts)}; all when none is named")
    asked = set(parser.parse_args().parts) or set(parts)
    with tempfile.TemporaryDirectory() as made, ThreadingHTTPServer(("127.0.0.1", 0), services.Peer) as server:
        context = multiprocessing.get_context("fork")
        serving = context.Process(target=server.serve_forever, daemon=True)
        serving.start()
        os.sched_setaffinity(serving.pid, {min(CORES)})
        folder, peer = Path(made), f"http://127.0.0.1:{server.server_port}/"
        if "costs" in asked:
            print(f"| service ({STARTS} starts of {TURNS} turns of {A_LAP}) | arrangement |", end="")
            print(" CPU ms: median (quartiles) | µs more, 95 % | beside the burning | share, 95 % |")
            print("|" + " --- |" * 6, flush=True)
            for shape in services.SHAPES:
                costs(shape, folder, peer)
            sizes(folder, peer)
        if "latencies" in asked:
            print(f"| service ({LONG_STARTS} starts of {LONG_TURNS} turns of {A_LONG_LAP}) | arrangement |", end="")
            print(" ms, other processes left out: median | p99 | more, 95 % | ms: median | p99 | more, 95 % |")
            print("|" + " --- |" * 8, flush=True)
            for shape in services.SHAPES:
                latencies(shape, folder, peer)
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
