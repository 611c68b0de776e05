"""Real log records with their true group: programs that name the line of code that wrote each record.

Chromium, gVisor (runsc), PostgreSQL and systemd print the file and line of the call; Python's `logging` keeps them.
Records of one call are one group: nobody labelled them by hand. The rules were looked at on all but PostgreSQL's. Two
calls that say the same count as two, which no masking can tell apart: `reachable` says how far one can come. Public
sets that people labelled can be given as a folder of `*.log_structured.csv` (Loghub's columns `Content`, `EventId`).
"""

from __future__ import annotations

import ast
import csv
import functools
import json
import logging
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from shadowlab.triage import mask
from shadowlab.triage.words import one_each

Record = tuple[str, str]
"""Its text and the line of code that wrote it."""
POSTGRES = Path("/usr/lib/postgresql/15/bin")


def loghub(folder: Path) -> dict[str, list[Record]]:
    """The sets of a folder, by name."""
    told = {}
    for place in sorted(folder.rglob("*.log_structured.csv")):
        with place.open(newline="", encoding="utf-8", errors="replace") as file:
            told[place.name.split("_")[0]] = [(row["Content"], row["EventId"]) for row in csv.DictReader(file)]
    return told


def real() -> dict[str, list[Record]]:
    """What five kinds of programs say while they work for some seconds."""
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        told = {"Chromium": chromium, "gVisor": gvisor, "PostgreSQL": postgres, "systemd": systemd}
        return {name: say(room) for name, say in told.items()} | {"Python": python()}


def chromium(room: Path) -> list[Record]:
    """A page loaded without a window, talking at its most."""
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=1",
               f"--user-data-dir={room / 'profile'}", "--dump-dom", "data:text/html,<h1>x</h1>"]  # fmt: skip
    told = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=90).stderr
    return _told(re.finditer(r"^\[[\d:/.]+:\w+:([\w/.]+:\d+)\] (.*)$", told, re.MULTILINE))


def gvisor(room: Path) -> list[Record]:
    """A container started and ended, twice, with what it writes for its developers."""
    for name in ("true", "ls"):
        subprocess.run(["runsc", "--debug", f"--debug-log={room}/gvisor/", "--network=none", "--rootless", "do", name],
                       capture_output=True, timeout=60)  # fmt: skip
    told = "\n".join(place.read_text(errors="replace") for place in sorted((room / "gvisor").iterdir()))
    return _told(re.finditer(r"^\w\d{4} [\d:.]+ +\d+ ([\w.]+:\d+)\] (.*)$", told, re.MULTILINE))


def systemd(room: Path) -> list[Record]:
    """The units of this machine looked at, and its temporary files made elsewhere, with all that is said on the way."""
    told = ""
    loud = {**os.environ, "SYSTEMD_LOG_LEVEL": "debug", "SYSTEMD_LOG_LOCATION": "1", "SYSTEMD_LOG_TARGET": "console"}
    units = sorted(map(str, Path("/lib/systemd/system").glob("*.service")))
    for command in (["systemd-analyze", "verify", *units], ["systemd-tmpfiles", f"--root={room / 'root'}", "--create"]):
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=90, env=loud)
        told += done.stdout + done.stderr
    return _told(re.finditer(r"^(src/[\w/.-]+\.[ch]:\d+): (.*)$", told, re.MULTILINE))


def _told(found: Iterator[re.Match[str]]) -> list[Record]:
    return [(match[2], match[1]) for match in found]


def reachable(told: Sequence[Record]) -> float:
    """The share of records whose line of code says nothing that another says, too."""
    said: dict[str, set[str]] = {}
    for text, place in told:
        said.setdefault(re.sub(r"\d+", "0", text), set()).add(place)
    unlike = {place for _, place in told} - {place for places in said.values() if len(places) > 1 for place in places}
    return sum(place in unlike for _, place in told) / len(told)


def postgres(room: Path) -> list[Record]:
    """A server that is asked, wrongly too, by clients that come and go."""
    data, owner = room / "data", "nobody" if os.getuid() == 0 else None
    data.mkdir()
    for place in (room, data):
        place.chmod(0o777)
    if owner:
        subprocess.run(["chown", owner, data], check=True)
    run = {"user": owner, "cwd": str(room), "capture_output": True, "check": True, "timeout": 90}
    subprocess.run([POSTGRES / "initdb", "-D", data, "-U", "app", "-A", "trust"], **run)
    said = {"log_destination": "jsonlog", "logging_collector": "on", "log_connections": "on", "listen_addresses": "",
            "log_disconnections": "on", "log_checkpoints": "on", "log_min_messages": "debug1", "log_lock_waits": "on",
            "log_error_verbosity": "verbose", "unix_socket_directories": str(room)}  # fmt: skip
    options = " ".join(f"-c {key}='{value}'" for key, value in said.items())
    subprocess.run([POSTGRES / "pg_ctl", "-D", data, "-w", "-o", options, "-l", data / "out", "start"], **run)
    try:
        _ask(room)
    finally:
        subprocess.run([POSTGRES / "pg_ctl", "-D", data, "-m", "fast", "-w", "stop"], **run)
    lines = [json.loads(line) for place in sorted((data / "log").glob("*.json")) for line in place.open()]
    return [(row["message"], f"{row['file_name']}:{row['file_line_num']}") for row in lines if "file_name" in row]


def _ask(room: Path) -> None:
    import psycopg

    r = random.Random("postgres")
    wrong = ("SELECT {w} FROM t", "SELECT * FROM {w}", "INSERT INTO t VALUES ({n}, 'x')", "SELECT {n} / 0",
             "SELECT '{w}'::int", "SELEC {n}", "INSERT INTO t VALUES ({n}, NULL)", "SELECT {w}({n})", "DROP TABLE {w}",
             "SELECT '2026-13-{n}'::date", "UPDATE t SET v = repeat('{w}', {n})", "SELECT * FROM t WHERE {w} = {n}",
             "CREATE TABLE t (i int)", "SELECT ARRAY[1][{n}]::json", "ALTER TABLE t ADD CHECK (i > {n})")  # fmt: skip
    for n in range(60):
        with psycopg.connect(host=str(room), user="app", dbname="postgres", autocommit=True) as con:
            if n == 0:
                con.execute("CREATE TABLE t (i int PRIMARY KEY, v varchar(9) NOT NULL)")
                con.execute("INSERT INTO t SELECT i, 'v' FROM generate_series(1, 99) i")
            for statement in r.choices(wrong, k=12):
                word = "".join(r.choices("abcdefgh", k=6))
                try:
                    con.execute(statement.format(w=word, n=r.randrange(1, 99)))
                except psycopg.Error:
                    continue
            if n % 20 == 0:
                con.execute("CHECKPOINT")
                con.execute("VACUUM (VERBOSE) t")


def python() -> list[Record]:
    """What well-known libraries say while they serve, ask and compute, each by its own logger."""
    done = subprocess.run([sys.executable, __file__, "--python"], capture_output=True, text=True, timeout=180)
    return [(row[0], row[1]) for row in map(json.loads, done.stdout.splitlines())]


def _python() -> None:
    """Work, and print each record's text and the place that wrote it."""

    class Printed(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            place = f"{record.name}:{Path(record.pathname).name}:{record.lineno}"
            if _speaks(record.pathname, record.lineno):
                rows.append((record.getMessage().split("\n")[0], place))

    rows: list[Record] = []
    logging.basicConfig(level=logging.DEBUG, handlers=[Printed()], force=True)
    _serve()
    _compute()
    for row in rows:
        print(json.dumps(row))


@functools.cache
def _speaks(path: str, line: int) -> bool:
    """Whether the call there has words of its own; `log(message)` passes on somebody else's, and groups nothing."""
    try:
        tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return False
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args
             and node.lineno <= line <= (node.end_lineno or 0)]  # fmt: skip
    inner = max(calls, key=lambda node: node.lineno, default=None)
    text = [node.value for node in ast.walk(inner) if isinstance(node, ast.Constant)] if inner else []
    return any(isinstance(part, str) and sum(map(str.isalpha, part)) >= 3 for part in text)


def _serve() -> None:
    import threading

    import flask
    import httpx
    import requests
    from werkzeug.serving import make_server

    app = flask.Flask("shop")
    app.add_url_rule("/items/<int:item>", "items", lambda item: (str(10 // (item % 7)), 200))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    for n in range(60):
        httpx.get(f"{base}/items/{n}")
        requests.get(f"{base}/items/{n * 31}", timeout=5)
    for port in (1, 2, 3):
        for ask in (httpx.get, requests.get):
            try:
                ask(f"http://127.0.0.1:{port}/", timeout=1)
            except (httpx.HTTPError, requests.RequestException):
                continue
    server.shutdown()


def _compute() -> None:
    import nbformat
    from distributed import Client, LocalCluster
    from nbclient import NotebookClient

    alone = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with LocalCluster(**alone) as cluster, Client(cluster) as client:
        client.gather(client.map(lambda n: n * n, range(20)))
    cells = [nbformat.v4.new_code_cell(f"print({n} * {n})") for n in range(12)]
    NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=60).execute()


def templates(told: list[Record]) -> tuple[list[str], float]:
    """The group of each record as triage makes it, and the CPU seconds that took."""
    began = time.process_time()
    found = mask.templates([text for text, _ in told], logs=True)
    into = one_each(found)
    return [into[template] for template in found], time.process_time() - began


def floors(told: list[Record]) -> dict[str, list[str]]:
    """What a person would try first."""
    return {
        "exact text": [text for text, _ in told],
        "digits masked": [re.sub(r"\d+", "0", text) for text, _ in told],
        "first two words": [" ".join(text.split()[:2]) for text, _ in told],
    }


# What drain3's own documentation masks: addresses, hexadecimal numbers, numbers.
_APART = r"((?<=[^A-Za-z0-9])|^)", r"((?=[^A-Za-z0-9])|$)"
_DRAIN = {
    "ID": r"(([0-9a-f]{2,}:){3,}([0-9a-f]{2,}))",
    "IP": r"(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})",
    "SEQ": r"([0-9a-f]{6,} ?){3,}",
    "HEX": r"(0x[a-f0-9A-F]+)",
    "NUM": r"([\-\+]?\d+)",
}


def peers(told: list[Record]) -> dict[str, tuple[list[int], float]]:
    """The groups of drain3 and the CPU seconds, with its usual settings and the masks of its documentation.

    It reads records in their order: its groups are those that it ends with. Nothing where it is not installed.
    """
    try:
        from drain3 import TemplateMiner
        from drain3.masking import MaskingInstruction
        from drain3.template_miner_config import TemplateMinerConfig
    except ImportError:
        print("drain3 is not installed (`uv pip install --group bench`)", file=sys.stderr)
        return {}
    logging.getLogger("drain3").setLevel(logging.ERROR)
    config = TemplateMinerConfig()
    config.masking_instructions = [
        MaskingInstruction(_APART[0] + rule + _APART[1], name) for name, rule in _DRAIN.items()
    ]
    miner = TemplateMiner(config=config)
    began = time.process_time()
    found = [miner.add_log_message(text)["cluster_id"] for text, _ in told]
    return {"drain3": (found, time.process_time() - began)}


if __name__ == "__main__":
    _python()
