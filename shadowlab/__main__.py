"""The program `shadowlab`, also started as `python -m shadowlab`."""

import os
import sys


def main() -> None:
    """Run the command line. Ctrl-C ends it with its exit code and no traceback, from the first import on."""
    try:
        _hold_standard_streams()
        from shadowlab import interrupts

        with interrupts.raised_again():
            from shadowlab.cli import main as commands

            commands()
    except KeyboardInterrupt:
        sys.exit(130)  # shadowlab.exit_codes may be what was being imported


def _hold_standard_streams() -> None:
    """Open what whoever started us closed: else our next file gets its number, and what is printed goes in there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)  # libraries ask it whether it is a terminal


if __name__ == "__main__":
    main()
