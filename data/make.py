"""Make a bundled incident again by running its service, or check the one that is here.

    python data/make.py payments-decimal            some minutes
    python data/make.py payments-decimal --check    some seconds; writes nothing

data/README.md says what happens then.
"""

import argparse
import json
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE.parent), str(HERE)]


def main() -> int:
    """Exit code 0 when the incident is made, or is as its `expected.json` says; 1 when not; 2 when it cannot be."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("incident", choices=sorted(path.parent.name for path in HERE.glob("*/run")))
    words.add_argument("--check", action="store_true", help="check what is here")
    words.add_argument("--root", type=Path, help="where it runs [/srv/SERVICE]")
    words.add_argument("--python", type=Path, default=Path("/usr/bin/python3"), help="what runs it [%(default)s]")
    options = words.parse_args()
    incident = HERE / options.incident
    sys.path.insert(0, str(incident / "run"))
    return check(incident) if options.check else make(incident, options.root, options.python)


def check(incident: Path) -> int:
    """Print what is wrong with the files."""
    import story

    found = story.check(incident)
    print("\n".join(found) or f"{incident.name}: all files say what expected.json says")
    return 1 if found else 0


def make(incident: Path, root: Path | None, python: Path) -> int:
    """Run the service and put what comes of it into the incident's folder."""
    import story
    from making.files import pack
    from making.scene import StageError
    from making.stage import play, stage

    start = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - start:6.1f} s  {what}", flush=True)

    played = story.STORY
    try:
        with stage(played, root or Path("/srv", played.service), python, say) as made:
            load = play(made)
            say(f"{sum(load.counts.values()):,} requests were asked: {dict(load.counts.most_common())}")
            pack(made.work, incident, failing=played.failing, controls=played.controls)
    except StageError as exc:
        print(exc, file=sys.stderr)
        return 2
    found = story.expected(incident)
    (incident / "expected.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    say("packed; checking")
    return check(incident)


if __name__ == "__main__":
    sys.exit(main())
