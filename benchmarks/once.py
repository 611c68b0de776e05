"""One triage in a process of its own, which has imported nothing but what triage does.

`python benchmarks/triage.py speed` runs it.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

from shadowlab import telemetry, triage
from shadowlab.case import Case, open_case

SECRET = bytes(32)


def main() -> None:
    """Triage a case and print what it cost; and once more, when a minute more of data is there.

    To `keep` facts `anew` there must be none; else there are those that lie beside the case.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", type=Path)
    parser.add_argument("--minute", type=Path)
    parser.add_argument("--keep", choices=("anew", "as before"))
    arguments = parser.parse_args()
    place, minute, keep = arguments.case, arguments.minute, arguments.keep
    facts = place / "telemetry" / ".facts"
    if keep:
        shutil.rmtree(facts, ignore_errors=True)
    if keep == "as before":
        shutil.copytree(place.parent / "facts", facts)
    began, spent = time.perf_counter(), time.process_time()
    import duckdb  # noqa: F401  # what triage imports when first used
    import pyarrow.compute  # noqa: F401  # the same

    imports, ready = time.process_time() - spent, time.perf_counter()
    case = open_case(place)
    table = asked(case, SECRET if keep else None)
    cost = {"wall": time.perf_counter() - began, "cpu": time.process_time() - spent, "imports": imports}
    cost |= {"asked": time.perf_counter() - ready, "worked": cost["cpu"] - imports}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    if minute is not None:
        telemetry.set_fingerprints(case, table)
        telemetry.ingest(case, [minute])
        began, spent = time.perf_counter(), time.process_time()
        asked(case)
        cost |= {"again asked": time.perf_counter() - began, "again worked": time.process_time() - spent}
    print(json.dumps({**cost, "peak": peak, "errors": len(table)}))


def asked(case: Case, secret: bytes | None = None) -> Any:
    """Triage a case that knows what earlier ones left; gives what is to be left."""
    with telemetry.store(case, secret=secret) as store:
        return triage.triage(store, known=partial(telemetry.known_fingerprints, store))[1]


if __name__ == "__main__":
    main()
