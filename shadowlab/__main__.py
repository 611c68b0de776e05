"""The program `shadowlab`, also started as `python -m shadowlab`."""

import sys


def main() -> None:
    """Run the command line. Ctrl-C ends it with its exit code and no traceback, from the first import on."""
    try:
        from shadowlab import interrupts

        with interrupts.raised_again():
            from shadowlab.cli import main as commands

            commands()
    except KeyboardInterrupt:
        sys.exit(130)  # shadowlab.exit_codes may be what was being imported


if __name__ == "__main__":
    main()
