"""How well triage groups, blames and keeps up: figures on seeded data with the truth beside, and floors.

Run: python benchmarks/triage.py groups|tracebacks|services|speed [options]; `--help` says more.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import graph
import load
import tracebacks
from faults import Event, causes, events
from grouping import exact, fingerprints, floors, scores

from shadowlab import telemetry, triage
from shadowlab.case import open_case

TUNED_ON, HELD_OUT = (1, 2, 3), (101, 102, 103, 104, 105)


def main() -> None:
    """Measure what is asked for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("groups", "tracebacks", "services", "speed"))
    parser.add_argument("--events", type=int, default=20_000, help="events per seed (default 20,000)")
    parser.add_argument("--seeds", type=int, nargs="*", default=HELD_OUT, help="seeds that nothing was tuned on")
    parser.add_argument("--cases", type=int, default=10, help="fault injections of each kind (default 10)")
    parser.add_argument("--spans", type=int, nargs="*", default=(100_000, 1_000_000), help="spans in the case")
    parser.add_argument("--case", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        once(arguments.case)
        return
    if arguments.what == "speed":
        speed(arguments.spans)
        return
    if arguments.what == "services":
        services(arguments.cases)
        return
    match arguments.what:
        case "groups":
            told = {seed: events(seed, causes(seed, 120), arguments.events) for seed in arguments.seeds}
        case _:
            told = {seed: tracebacks.events(seed, min(arguments.events, 4_000)) for seed in arguments.seeds}
    groups(told)


def groups(told: Mapping[int, Sequence[Event]]) -> None:
    """Pairwise quality of fingerprints and of three floors, per seed."""
    print("| seed | method | precision | recall | F1 | exact | groups (true) | events per CPU second |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for seed, listed in told.items():
        truth = [e.truth for e in listed]
        found, spent = fingerprints(listed)
        for name, labels in {"fingerprint": found, **floors(listed)}.items():
            p, r, f1 = scores(labels, truth)
            speed = f"{len(listed) / spent:,.0f}" if name == "fingerprint" else ""
            sizes = f"{len(set(labels))} ({len(set(truth))})"
            print(
                f"| {seed} | {name} | {p:.3f} | {r:.3f} | {f1:.3f} | {exact(labels, truth):.3f} | {sizes} | {speed} |"
            )


def services(cases: int) -> None:
    """AC@1, AC@3, AC@5 and Avg@5 per kind of fault, beside three floors; for no fault, the share that blames nobody."""
    print("| fault | method | AC@1 | AC@3 | AC@5 | Avg@5 | n |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for kind in graph.KINDS:
        told: dict[str, list[tuple[str | None, list[str]]]] = defaultdict(list)
        for seed in range(1_000, 1_000 + cases):
            case = graph.make(seed, kind)
            for name, ranking in {"triage": graph.rank(case), **graph.floors(case)}.items():
                told[name].append((case.fault, ranking))
        for name, found in told.items():
            if kind == "nothing":
                calm = sum(not ranking for _, ranking in found) / len(found)
                print(f"| none | {name} | blames nobody: {calm:.2f} | | | | {len(found)} |")
                continue
            at = [sum(fault in ranking[:k] for fault, ranking in found) / len(found) for k in range(1, 6)]
            print(f"| {kind} | {name} | {at[0]:.2f} | {at[2]:.2f} | {at[4]:.2f} | {sum(at) / 5:.2f} | {len(found)} |")


def speed(sizes: Sequence[int]) -> None:
    """Seconds and memory of triage in a fresh process, three times each, on cases of growing size."""
    print("| spans | errors | wall s (median) | CPU s | of it imports | peak GB | suspects |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            room = Path(folder)
            written = load.write(room / "traces.jsonl", size)
            telemetry.ingest(open_case(room / "case"), [room / "traces.jsonl"])
            command = [sys.executable, __file__, "speed", "--case", str(room / "case")]
            told = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(3)]
        at = {key: statistics.median(run[key] for run in told) for key in told[0]}
        print(f"| {written:,} | {at['errors']:,} | {at['wall']:.1f} | {at['cpu']:.1f} | {at['imports']:.1f} | "
              f"{at['peak']:.2f} | {at['suspects']} |")  # fmt: skip


def once(place: Path) -> None:
    """Triage a case and print what it cost."""
    began, spent = time.perf_counter(), time.process_time()
    import pyarrow  # noqa: F401  # what triage imports when first used
    import scipy.stats  # noqa: F401

    imports = time.process_time() - spent
    with telemetry.store(open_case(place)) as store:
        found, table = triage.triage(store)
    cost = {"wall": time.perf_counter() - began, "cpu": time.process_time() - spent, "imports": imports}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({**cost, "peak": peak, "errors": len(table), "suspects": len(found.suspects)}))


if __name__ == "__main__":
    main()
