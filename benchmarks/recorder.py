"""What the recorder costs a service: `python benchmarks/recorder.py` prints a table (about two minutes).

The service is FastAPI with SQLAlchemy on SQLite and one httpx call to a peer in another process; it burns processor
time until a bare request costs 3 ms. Each arrangement is a process of its own; laps take turns, so that a busy machine
is busy for all of them. Processor time is the service's process alone.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import resource
import statistics
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

REQUEST_MS = 3.0
LAPS, A_LAP = 15, 40
FLOOD = 10_000
CONCURRENT = 200

# How `record` is called, what part of the requests fails, by arrangement.
ARRANGEMENTS = {
    "bare": (None, 0.0),
    "nothing fails, controls off": ({"share": 0.0}, 0.0),
    "1 in 20 kept, 1 in 50 fails": ({"share": 0.05}, 0.02),
    "every request is written": ({"share": 0.0, "mirror": True}, 0.0),
}


class Peer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = b'{"accepted":true,"rate":"1.0842","lane":"a"}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def service(database, peer, burn):
    """POST /charges: a select, a call, an update and an insert; GET /large for the memory."""
    import fastapi
    import httpx
    import sqlalchemy as sa

    engine = sa.create_engine(f"sqlite:///{database}")
    table = sa.Table("charges", sa.MetaData(), *(sa.Column(n, t, primary_key=n == "id") for n, t in
                     {"id": sa.Integer, "customer": sa.Text, "amount": sa.Text, "state": sa.Text}.items()))  # fmt: skip
    app, client = fastapi.FastAPI(), httpx.AsyncClient()

    @app.post("/charges")
    async def charge(body: dict):
        with engine.begin() as connection:
            row = connection.execute(sa.select(table).where(table.c.id == body["id"])).one()
            answer = (await client.post(peer, json={"amount": body["amount"]})).json()
            total = 0
            for n in range(burn):
                total += n
            changed = sa.update(table).where(table.c.id == row.id).values(state="charged")
            connection.execute(changed)
        if body.get("fails"):
            raise ValueError("refused")
        return {"rate": answer["rate"], "total": total % 7}

    @app.post("/large")
    async def large(request: fastapi.Request):
        body = await request.body()
        await asyncio.sleep(0.3)
        return fastapi.Response(body)

    @app.get("/flood")
    async def flood():
        raise ValueError("each fails")

    return app


async def ask(app, method, path, body=b""):
    sent, inbox = [], [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        return inbox.pop() if inbox else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    headers = [
        (b"content-type", b"application/json"),
        (b"host", b"shop"),
        (b"user-agent", b"load"),
        (b"accept", b"*/*"),
    ]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "http_version": "1.1",
        "scheme": "http",
        "server": ("h", 1),
        "client": ("c", 1),
    }
    try:
        await app(scope, receive, send)
    except ValueError:
        return 500
    return sent[0]["status"]


def worker(pipe, name, folder, peer, burn):
    """Serves laps until it is told to stop; answers with processor milliseconds and each request's wall time."""
    import logging
    import sqlite3

    logging.disable(logging.CRITICAL)
    settings, fails = ARRANGEMENTS[name]
    database = folder / f"{abs(hash(name))}.db"
    with sqlite3.connect(database) as connection:
        connection.execute("create table charges (id integer primary key, customer text, amount text, state text)")
        connection.executemany("insert into charges values (?, 'c-100', '19.99', 'new')", [(n,) for n in range(500)])
    if settings is not None:
        import shadowlab_recorder

        recordings = folder / f"recordings-{abs(hash(name))}"
        shadowlab_recorder.configure(recordings, **settings)
        app = shadowlab_recorder.record(service(database, peer, burn))
    else:
        app = service(database, peer, burn)
    loop, draws = asyncio.new_event_loop(), random.Random(1)

    async def lap():
        walls = []
        for _ in range(A_LAP):
            body = {
                "id": draws.randrange(500),
                "amount": "19.99",
                "note": "a usual request",
                "fails": draws.random() < fails,
            }
            began = time.perf_counter()
            await ask(app, "POST", "/charges", json.dumps(body).encode())
            walls.append((time.perf_counter() - began) * 1000)
        return walls

    async def crowd():
        await asyncio.gather(*(ask(app, "POST", "/large", os.urandom(60_000)) for _ in range(CONCURRENT)))

    async def flood():
        for _ in range(FLOOD):
            await ask(app, "GET", "/flood")

    while (what := pipe.recv()) != "stop":
        before, began = time.process_time(), time.perf_counter()
        walls = loop.run_until_complete({"lap": lap, "crowd": crowd, "flood": flood}[what]())
        wall = time.perf_counter() - began
        told = {"cpu_ms": (time.process_time() - before) * 1000, "walls": walls, "wall_s": wall}
        if settings is not None:
            app.recorder.flush(60)
            told["counts"] = app.recorder.counts
            told["sizes"] = [path.stat().st_size for path in recordings.glob("*.json")]
        told["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        pipe.send(told)


class Served:
    """A worker in a process of its own."""

    def __init__(self, name, folder, peer, burn):
        self.pipe, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self.process = context.Process(target=worker, args=(theirs, name, folder, peer, burn), daemon=True)
        self.process.start()

    def __call__(self, what):
        self.pipe.send(what)
        return self.pipe.recv()

    def stop(self):
        self.pipe.send("stop")
        self.process.join(10)


def share(bare, other):
    """Median of the paired shares in percent, with the 95 % interval of 2,000 bootstrap draws."""
    ratios = [100 * (b - a) / a for a, b in zip(bare, other, strict=True)]
    draws = random.Random(0)
    medians = sorted(statistics.median(draws.choices(ratios, k=len(ratios))) for _ in range(2000))
    return statistics.median(ratios), medians[50], medians[1949]


def p99(walls):
    return sorted(walls)[int(len(walls) * 0.99)]


def p99_difference(bare, other):
    draws = random.Random(0)
    found = sorted(p99(draws.choices(other, k=len(other))) - p99(draws.choices(bare, k=len(bare))) for _ in range(400))
    return p99(other) - p99(bare), found[10], found[389]


def costs(folder, peer):
    """Processor time and latency of the usual request, in turns."""
    trial = Served("bare", folder / "trial", peer, 0)
    trial("lap")
    without = min(trial("lap")["cpu_ms"] for _ in range(3)) / A_LAP
    trial.stop()
    began = time.process_time()
    for _ in range(1_000_000):
        pass
    steps = int(max(REQUEST_MS - without, 0.1) / ((time.process_time() - began) * 1000 * 1.6) * 1_000_000)
    served = {name: Served(name, folder, peer, steps) for name in ARRANGEMENTS}
    for each in served.values():
        each("lap")
    laps = {name: [] for name in served}
    for number in range(LAPS):
        for name in sorted(served, key=lambda name: random.Random(f"{number} {name}").random()):
            laps[name].append(served[name]("lap"))
    for each in served.values():
        each.stop()
    bare = [lap["cpu_ms"] / A_LAP for lap in laps["bare"]]
    print(f"| n = {LAPS} laps of {A_LAP} | CPU ms: median (min) | beside bare, 95 % | p99 ms, difference, 95 % |")
    print("| --- | --- | --- | --- |")
    walls = {name: [wall for lap in found for wall in lap["walls"]] for name, found in laps.items()}
    for name, found in laps.items():
        cpu = [lap["cpu_ms"] / A_LAP for lap in found]
        line = f"| {name} | {statistics.median(cpu):.3f} ({min(cpu):.3f}) |"
        if name != "bare":
            middle, low, high = share(bare, cpu)
            more, least, most = p99_difference(walls["bare"], walls[name])
            line += f" {middle:+.1f} % ({low:+.1f} to {high:+.1f}) |"
            line += f" {p99(walls[name]):.1f}, {more:+.1f} ({least:+.1f} to {most:+.1f}) |"
        else:
            line += f" floor | {p99(walls[name]):.1f} |"
        print(line)
    sizes = [size for name in laps for size in laps[name][-1].get("sizes", ())]
    print(f"\na recording: median {statistics.median(sizes):,.0f} bytes, largest {max(sizes):,} (n = {len(sizes):,})")


def memory(folder, peer):
    """Largest resident size after 200 concurrent requests of 60 kB each way."""
    found = {}
    for name in ("bare", "1 in 20 kept, 1 in 50 fails", "every request is written"):
        each = Served(name, folder / "memory", peer, 0)
        each("lap")
        before = each("lap")["rss_mb"]
        found[name] = each("crowd")["rss_mb"] - before
        each.stop()
    for name, grown in found.items():
        beside = grown - found["bare"]
        print(f"memory, {CONCURRENT} at once, 60 kB each way, {name}: {grown:.1f} MB more ({beside:+.1f} beside bare)")


def flooded(folder, peer):
    """10,000 requests that fail alike, as fast as they go."""
    for name in ("bare", "nothing fails, controls off"):
        each = Served(name, folder / "flood", peer, 0)
        each("lap")
        told = each("flood")
        each.stop()
        allowed = 20 * (1 + told["wall_s"] / 60)
        rate, cpu_us = FLOOD / told["wall_s"], told["cpu_ms"] / FLOOD * 1000
        print(f"flood of {FLOOD:,} failures, {name}: {rate:,.0f} a second, {cpu_us:.0f} µs CPU each", end="")
        counts = told.get("counts", {"written": 0, "limited": 0})
        print(f"; wrote {counts['written']} (the bucket allows {allowed:.0f}), limited {counts['limited']:,}")


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
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    with tempfile.TemporaryDirectory() as made, ThreadingHTTPServer(("127.0.0.1", 0), Peer) as server:
        context = multiprocessing.get_context("fork")
        serving = context.Process(target=server.serve_forever, daemon=True)
        serving.start()
        folder, peer = Path(made), f"http://127.0.0.1:{server.server_port}/"
        for part in ("trial", "memory", "flood"):
            (folder / part).mkdir()
        costs(folder, peer)
        memory(folder, peer)
        flooded(folder, peer)
        databases(folder)
        serving.terminate()


if __name__ == "__main__":
    threading.stack_size(256 * 1024)
    main()
