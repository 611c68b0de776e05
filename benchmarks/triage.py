"""How well triage groups, blames and keeps up: figures on seeded data with the truth beside, and floors.

Run: python benchmarks/triage.py groups|tracebacks|logs|masking|services|speed [options]; `--help` says more.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import costs
import graph
import load
import logs
import once
import tracebacks
from faults import Event, causes, events
from grouping import exact, fingerprints, floors, scores

from shadowlab import telemetry
from shadowlab.case import open_case

TUNED_ON, HELD_OUT = (1, 2, 3), (101, 102, 103, 104, 105)
SERVICES_FROM = 2_000
"""The first seed of fault injections; what stands below was looked at while rules were made."""
BAR_S = 5.0
"""What a triage of a million spans may take; a minute more of data, a tenth of it."""


def main() -> None:
    """Measure what is asked for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("groups", "tracebacks", "logs", "masking", "services", "speed"))
    parser.add_argument("--events", type=int, default=20_000, help="events per seed (default 20,000)")
    parser.add_argument("--seeds", type=int, nargs="*", default=HELD_OUT, help="seeds that nothing was tuned on")
    parser.add_argument("--cases", type=int, default=10, help="fault injections of each kind (default 10)")
    parser.add_argument("--spans", type=int, nargs="*", default=(100_000, 1_000_000), help="spans in the case")
    parser.add_argument("--loghub", type=Path, help="a folder of labelled *.log_structured.csv, in place of real logs")
    arguments = parser.parse_args()
    if arguments.what == "speed":
        speed(arguments.spans)
        return
    if arguments.what == "logs":
        records(logs.loghub(arguments.loghub) if arguments.loghub else logs.real())
        return
    if arguments.what == "masking":
        masking()
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
    """Pairwise quality of fingerprints, of drain3's templates of messages and of three floors, per seed."""
    print("| seed | method | precision | recall | F1 | exact | groups (true) | events per CPU second |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for seed, listed in told.items():
        truth = [e.truth for e in listed]
        found, spent = fingerprints(listed)
        took, methods = {"fingerprint": spent}, {"fingerprint": found}
        for peer, (mined, mining) in logs.peers([(e.message or "", "") for e in listed]).items():
            took[f"type and {peer}"] = mining
            methods[f"type and {peer}"] = [
                (e.service, e.type, cluster) for e, cluster in zip(listed, mined, strict=True)
            ]
        for name, labels in {**methods, **floors(listed)}.items():
            p, r, f1 = scores(labels, truth)
            speed = f"{len(listed) / took[name]:,.0f}" if name in took else ""
            sizes = f"{len(set(labels))} ({len(set(truth))})"
            print(
                f"| {seed} | {name} | {p:.3f} | {r:.3f} | {f1:.3f} | {exact(labels, truth):.3f} | {sizes} | {speed} |"
            )


def records(told: Mapping[str, Sequence[logs.Record]]) -> None:
    """Grouping accuracy and pairwise quality of templates, of drain3 and of three floors, per set and on average."""
    print(
        "| set | records | reachable | groups (true) | method | accuracy | precision | recall | F1 | per CPU second |"
    )
    print("| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    reached = defaultdict(list)
    for name, listed in told.items():
        truth = [site for _, site in listed]
        timed = {"templates": logs.templates(list(listed)), **logs.peers(list(listed))}
        methods = {**timed, **{floor: (labels, 0.0) for floor, labels in logs.floors(list(listed)).items()}}
        for method, (labels, spent) in methods.items():
            p, r, f1 = scores(labels, truth)
            right = exact(labels, truth)
            reached[method].append(right)
            sizes = f"{logs.reachable(listed):.3f} | {len(set(labels))} ({len(set(truth))})"
            quality = f"{right:.3f} | {p:.3f} | {r:.3f} | {f1:.3f}"
            speed = f"{len(listed) / spent:,.0f}" if spent else ""
            print(f"| {name} | {len(listed):,} | {sizes} | {method} | {quality} | {speed} |")
    for method, shares in reached.items():
        print(f"| mean | | | | {method} | {statistics.mean(shares):.3f} | | | | |")


def masking() -> None:
    """CPU seconds of masking and of reading stacks, start and slope apart, beside drain3."""
    print("| what | events | distinct | by | start, CPU s | events per CPU second after it | with it |")
    print("| --- | ---: | ---: | --- | ---: | ---: | ---: |")
    for what, count, distinct, name, cost in costs.measured(logs.real()):
        told = f"{max(0.0, cost.start):.2f} | {cost.rate:,.0f} | {cost.overall:,.0f}"
        print(f"| {what} | {count:,} | {distinct:.2f} | {name} | {told} |")


def services(cases: int) -> None:
    """AC@1, AC@3, AC@5 and Avg@5 per kind of fault, beside a peer and floors; for none, how often nobody is blamed."""
    print("| fault | method | AC@1 | AC@3 | AC@5 | Avg@5 | n |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for kind in graph.KINDS:
        told: dict[str, list[tuple[str | None, list[str]]]] = defaultdict(list)
        for seed in range(SERVICES_FROM, SERVICES_FROM + cases):
            case = graph.make(seed, kind)
            ours = {"triage": graph.rank(case), "triage without logs": graph.rank(case, logs=False)}
            for name, ranking in {**ours, "robust scorer (BARO)": graph.robust(case), **graph.floors(case)}.items():
                told[name].append((case.fault, ranking))
        for name, found in told.items():
            if kind == "nothing":
                calm = sum(not ranking for _, ranking in found) / len(found)
                print(f"| none | {name} | blames nobody: {calm:.2f} | | | | {len(found)} |")
                continue
            at = [sum(fault in ranking[:k] for fault, ranking in found) / len(found) for k in range(1, 6)]
            print(f"| {kind} | {name} | {at[0]:.2f} | {at[2]:.2f} | {at[4]:.2f} | {sum(at) / 5:.2f} | {len(found)} |")


def speed(sizes: Sequence[int]) -> None:
    """Seconds and memory of triage in a fresh process, three times each, and again when a minute more is there.

    That minute is asked by processes that find nothing of an earlier one's beside the segments, by ones that find the
    facts of all segments but the new one, and by one that lives on.
    """
    more = "| {}: wall s | CPU s | of a full one, less imports: wall | CPU | of 5 s: wall "
    print(
        "| spans | errors | wall s (median) | CPU s | of it imports | peak GB | and keeps facts: wall s | CPU s "
        + more.format("again, a minute more")
        + more.format("with facts on disk")
        + more.format("in a process that lives on, of its own")
        + "|"
    )
    print("| " + "---: | " * 23)
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            room = Path(folder)
            case = open_case(room / "case")
            written = load.write(room / "traces.jsonl", size)
            telemetry.ingest(case, [room / "traces.jsonl"])
            (room / "traces.jsonl").unlink()
            load.write(room / "minute.jsonl", size // 360, minutes=1, first_minute=360)
            shutil.copytree(room / "case", room / "living")
            lives = _told(room / "living", "--minute", str(room / "minute.jsonl"))
            first, keeping = _median(room / "case"), _median(room / "case", ("--keep", "anew"))
            shutil.copytree(case.telemetry / ".facts", room / "facts")
            telemetry.set_fingerprints(case, once.asked(case))  # the first leaves what it knows to those after it
            telemetry.ingest(case, [room / "minute.jsonl"])
            again, known = _median(room / "case"), _median(room / "case", ("--keep", "as before"))
        cost = f"{first['wall']:.2f} | {first['cpu']:.2f} | {first['imports']:.2f} | {first['peak']:.2f}"
        cost += f" | {keeping['wall']:.2f} | {keeping['cpu']:.2f}"
        later = [f"{run['wall']:.2f} | {run['cpu']:.2f} | "
                 f"{_shares(run['asked'], first['asked'], run['worked'], first['worked'])}"
                 for run in (again, known)]  # fmt: skip
        living = lives["again asked"], lives["again worked"]
        later.append(f"{living[0]:.2f} | {living[1]:.2f} | "
                     f"{_shares(living[0], lives['asked'], living[1], lives['worked'])}")  # fmt: skip
        print(f"| {written:,} | {first['errors']:,} | {cost} | {' | '.join(later)} |")


def _shares(wall: float, full_wall: float, cpu: float, full_cpu: float) -> str:
    """What a triage took, as shares of a full one and of the seconds that one may take."""
    return f"{wall / full_wall:.2f} | {cpu / full_cpu:.2f} | {wall / BAR_S:.2f}"


def _median(place: Path, more: Sequence[str] = ()) -> Mapping[str, float]:
    """What a triage costs, the median of three."""
    told = [_told(place, *more) for _ in range(3)]
    return {key: statistics.median(run[key] for run in told) for key in told[0]}


def _told(place: Path, *more: str) -> Mapping[str, float]:
    """What a fresh process says that it cost."""
    command = [sys.executable, once.__file__, str(place), *more]
    told: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return told


if __name__ == "__main__":
    main()
