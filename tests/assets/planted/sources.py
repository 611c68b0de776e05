"""Sources of nondeterminism, one a function: `run({"source": name})` returns what it gave."""

import asyncio
import concurrent.futures
import datetime
import email.utils
import gc
import glob
import os
import platform
import random
import resource
import secrets
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import threading
import time
import uuid
import weakref
from datetime import datetime as early_datetime
from pathlib import Path
from time import monotonic as early_monotonic
from time import time as early_time

import numpy

TOKEN_AT_IMPORT = secrets.token_hex(8)
STARTED_AT_IMPORT = time.time()
HERE = Path(__file__).parent


def run(event):
    return SOURCES[event["source"]]()


async def slept():
    before = asyncio.get_running_loop().time()
    await asyncio.sleep(0.25 + random.random())
    return asyncio.get_running_loop().time() - before


async def gathered():
    order = []

    async def one(n):
        await asyncio.sleep(random.random())
        order.append(n)

    await asyncio.gather(*(one(n) for n in range(6)))
    return order


async def first_of_two():
    async def one(n):
        await asyncio.sleep(0.1)
        return n

    done, _ = await asyncio.wait({asyncio.create_task(one(n)) for n in range(2)}, return_when="FIRST_COMPLETED")
    return sorted(task.result() for task in done)


def pooled():
    def work(n):
        time.sleep(random.random())
        return n

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return [f.result() for f in concurrent.futures.as_completed([pool.submit(work, n) for n in range(6)])]


async def in_an_executor():
    return await asyncio.get_running_loop().run_in_executor(
        None, lambda: (threading.current_thread().name, time.time())
    )


def raced():
    count = {"n": 0}

    def work():
        for _ in range(500):
            seen = count["n"]
            time.perf_counter()
            count["n"] = seen + 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count["n"] > 0


def sql(expression):
    def ask():
        connection = sqlite3.connect("local.sqlite")
        try:
            connection.execute("CREATE TABLE t (at TEXT DEFAULT CURRENT_TIMESTAMP, n INTEGER)")
            connection.execute("INSERT INTO t (n) VALUES (random())")
            return connection.execute(f"SELECT {expression} FROM t").fetchone()
        finally:
            connection.close()

    return ask


def finalised():
    order = []

    class Thing:
        pass

    things = [Thing() for _ in range(5)]
    for n, thing in enumerate(things):
        weakref.finalize(thing, order.append, n)
        thing.me = thing
    things.clear()
    gc.collect()
    return order


def refused(act):
    def attempt():
        try:
            return str(act())
        except OSError as exc:
            return type(exc).__name__

    return attempt


def written():
    Path("new.txt").write_text("x")
    return os.stat("new.txt").st_mtime_ns, Path("new.txt").stat().st_ctime, os.path.getmtime("new.txt")


def raised():
    raise ValueError(f"no place for {object()}")


SOURCES = {
    "time.time": time.time,
    "time.time bound early": lambda: early_time(),
    "time.time_ns": time.time_ns,
    "datetime.now": lambda: str(datetime.datetime.now()),
    "datetime.now bound early": lambda: str(early_datetime.now(datetime.UTC)),
    "date.today": lambda: str(datetime.date.today()),
    "localtime": lambda: time.strftime("%Y %H:%M:%S %Z", time.localtime()),
    "monotonic": time.monotonic,
    "monotonic bound early": lambda: early_monotonic(),
    "perf_counter": time.perf_counter,
    "perf_counter_ns": time.perf_counter_ns,
    "process_time": time.process_time,
    "thread_time": time.thread_time,
    "clock_gettime realtime": lambda: time.clock_gettime(time.CLOCK_REALTIME),
    "clock_gettime monotonic": lambda: time.clock_gettime(time.CLOCK_MONOTONIC),
    "clock_gettime boot": lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME),
    "os.times": lambda: list(os.times()),
    "getrusage": lambda: list(resource.getrusage(resource.RUSAGE_SELF)),
    "asyncio.sleep": lambda: asyncio.run(slept()) if False else slept(),
    "asyncio.gather": gathered,
    "asyncio first of two": first_of_two,
    "executor of the loop": in_an_executor,
    "thread pool as_completed": pooled,
    "threads that race": raced,
    "random.random": random.random,
    "random.Random without a seed": lambda: random.Random().random(),
    "random.SystemRandom": lambda: random.SystemRandom().random(),
    "secrets": lambda: secrets.token_hex(8),
    "os.urandom": lambda: os.urandom(8).hex(),
    "os.getrandom": lambda: os.getrandom(8).hex(),
    "/dev/urandom": lambda: os.read(os.open("/dev/urandom", os.O_RDONLY), 8).hex(),
    "ssl.RAND_bytes": lambda: ssl.RAND_bytes(8).hex(),
    "uuid1": lambda: str(uuid.uuid1()),
    "uuid4": lambda: str(uuid.uuid4()),
    "numpy default_rng": lambda: float(numpy.random.default_rng().random()),
    "numpy legacy": lambda: float(numpy.random.rand()),
    "a token made at import": lambda: TOKEN_AT_IMPORT,
    "a time taken at import": lambda: STARTED_AT_IMPORT,
    "make_msgid": email.utils.make_msgid,
    "set order": lambda: list({"alpha", "beta", "gamma", "delta", "epsilon"}),
    "hash of a string": lambda: hash("alpha"),
    "hash of an object": lambda: hash(object()),
    "an address in a repr": lambda: repr(object()),
    "an address in a message": raised,
    "order of finalisers": finalised,
    "sqlite CURRENT_TIMESTAMP": sql("at"),
    "sqlite datetime('now')": sql("datetime('now'), date(), time('now', '+1 day'), julianday('now')"),
    "sqlite strftime": sql("strftime('%s', 'now'), unixepoch(), strftime('%Y')"),
    "sqlite random()": sql("n, random(), hex(randomblob(4))"),
    "pid": os.getpid,
    "parent's pid": os.getppid,
    "user": lambda: (os.getuid(), os.getgid()),
    "native thread id": threading.get_native_id,
    "thread identity": threading.get_ident,
    "hostname": lambda: (socket.gethostname(), platform.node(), os.uname().nodename),
    "cpu_count": lambda: (os.cpu_count(), len(os.sched_getaffinity(0))),
    "load average": os.getloadavg,
    "environment": lambda: sorted(os.environ),
    "working folder": os.getcwd,
    "home": lambda: str(Path.home()),
    "temporary file's name": lambda: tempfile.mktemp(),
    "temporary file": lambda: tempfile.mkstemp(suffix=".x")[1],
    "os.listdir": lambda: os.listdir(HERE / "many"),
    "glob": lambda: [os.path.basename(path) for path in glob.glob(str(HERE / "many" / "*"))],
    "os.walk": lambda: [files for _, _, files in os.walk(HERE / "many")],
    "Path.iterdir": lambda: [path.name for path in (HERE / "many").iterdir()],
    "mtime of a file of the tree": lambda: os.path.getmtime(HERE / "many" / "a.txt"),
    "mtime of a new file": written,
    "umask": lambda: os.umask(0o077),
    "time zone": lambda: (time.tzname, time.timezone),
    "a file of the host": refused(lambda: Path("/etc/hostname").read_text()),
    "/proc": refused(lambda: Path("/proc/self/stat").read_text()),
    "/sys": refused(lambda: Path("/sys/class/net/lo/address").read_text()),
    "a program's output": refused(lambda: subprocess.check_output(["date"])),
    "a shell's output": refused(lambda: os.popen("date").read()),
    "a name looked up": refused(lambda: socket.gethostbyname("localhost")),
    "a connection": refused(lambda: socket.create_connection(("127.0.0.1", 9))),
    "a forked child": refused(lambda: os.fork()),
}
