"""Seconds per verb on the bundled incident, from ingest to report; writes its table into the README.

Run: python benchmarks/demo.py [--runs N]
Each run is a fresh process of `shadowlab demo --json`; the table holds the median and the spread over the runs, and as
the floor the seconds that a fresh interpreter needs to import what the verbs import.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
HEAVY = "duckdb, pandas, plotly.graph_objects, libcst, statsmodels.stats.proportion, papermill, nbconvert"


def main() -> None:
    """Measure, print, and write the table between the README's marks."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=3, help="how many times the demo runs (default 3)")
    runs = arguments.parse_args().runs
    measured = [once() for _ in range(runs)]
    floor = statistics.median(imports() for _ in range(runs))
    told = table(measured, floor)
    print(told)
    text = README.read_text()
    before, _, rest = text.partition("<!-- bench -->")
    _, _, after = rest.partition("<!-- /bench -->")
    README.write_text(f"{before}<!-- bench -->\n{told}\n<!-- /bench -->{after}")


def once() -> dict[str, float]:
    """Seconds of each verb, and of the whole process, in one run."""
    with tempfile.TemporaryDirectory() as room:
        start = time.perf_counter()
        command = [sys.executable, "-m", "shadowlab", "demo", "--json", "--out", f"{room}/demo"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        whole = time.perf_counter() - start
    return {**json.loads(done.stdout)["seconds"], "whole process": whole}


def imports() -> float:
    """Seconds that a fresh interpreter needs to import the libraries that the verbs use."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {HEAVY}"], check=True)
    return time.perf_counter() - start


def table(measured: list[dict[str, float]], floor: float) -> str:
    """The figures as a Markdown table: median, least and most of each verb."""
    lines = ["| verb | seconds (median) | least - most |", "| --- | ---: | ---: |"]
    for verb in measured[0]:
        seconds = [run[verb] for run in measured]
        lines.append(f"| {verb} | {statistics.median(seconds):.1f} | {min(seconds):.1f} - {max(seconds):.1f} |")
    lines.append(f"| *floor: importing the libraries alone* | {floor:.1f} | |")
    where = f"Python {platform.python_version()}, {platform.machine()}, two cores"
    return "\n".join(lines) + f"\n\nn = {len(measured)} runs of `python benchmarks/demo.py`; {where}."


if __name__ == "__main__":
    main()
