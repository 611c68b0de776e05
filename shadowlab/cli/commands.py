"""What every command shares: options, one message for what is raised on purpose, exit codes."""

from __future__ import annotations

import errno
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

import shadowlab
from shadowlab import errors

FILE, FOLDER = click.Path(path_type=Path), click.Path(path_type=Path, file_okay=False, writable=True)
CASE = click.argument("case", type=FILE)
TELEMETRY = click.option("--telemetry", metavar="URL", help="A larger store, left where it is; see docs/scale.md.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document on standard output.")

_ROOM = "make room and run it again; the case holds what was kept before"
_RIGHTS = "run it as somebody who may read and write there, or name another place"
_REFUSED = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EROFS: _RIGHTS,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EMFILE: "raise the limit of open files: ulimit -n 4096",
}
"""What to do where the machine refuses something, by the number of its error."""
_STOPPED = "Query interrupted"
"""What DuckDB makes of Ctrl-C in the middle of a statement: a RuntimeError that says this, and no KeyboardInterrupt."""


class Commands(click.Group):
    """Turns what is raised on purpose into one message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        before, sys.unraisablehook = sys.unraisablehook, _told_again
        try:
            return super().invoke(ctx)
        except errors.ShadowlabError as exc:
            from shadowlab.terminal import visible

            click.echo(visible(f"error: {exc}"), err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            ctx.exit(_interrupted())
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except Exception as exc:  # the last net: a fault of ours must not look like a verdict (exit 1)
            if _by_ctrl_c(exc):
                ctx.exit(_interrupted())
            if os.environ.get("SHADOWLAB_TRACEBACK"):
                raise
            ctx.exit(_caught(exc))
        finally:
            sys.unraisablehook = before

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each verb with its whole first sentence, where click cuts it after a line."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(limit=1000)) for name, each in self.commands.items()])


def _told_again(lost: Any) -> None:
    """Python drops what is raised in a weak reference's callback, such as those of imports: say Ctrl-C once more."""
    if not issubclass(lost.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
    elif main := threading.main_thread().ident:
        later = threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGINT))
        later.daemon = True
        later.start()


def _by_ctrl_c(exc: Exception) -> bool:
    """Whether Ctrl-C is behind it: in a statement, or in an import, which an extension module tells as ImportError."""
    return (isinstance(exc, RuntimeError) and str(exc) == _STOPPED) or isinstance(exc.__cause__, KeyboardInterrupt)


def _interrupted() -> int:
    click.echo("interrupted; the case holds what was kept before", err=True)
    return 130


def _caught(exc: Exception) -> int:
    """Say what nobody raised on purpose: 2 where the machine refuses something, 70 for a fault of ours."""
    from shadowlab.terminal import visible

    if isinstance(exc, OSError) and exc.errno in _REFUSED:
        where = f"{exc.filename}: " if exc.filename else ""
        told, hint, code = f"{where}{exc.strerror}", _REFUSED[exc.errno], 2
    else:
        told = f"a fault of shadowlab itself ({type(exc).__name__} in {_place(exc)})"
        hint, code = "set SHADOWLAB_TRACEBACK=1 for the traceback, and please report it", 70
    click.echo(visible(f"error: {told}\nhint: {hint}"), err=True)
    return code


def _place(exc: BaseException) -> str:
    tb, place = exc.__traceback__, "?"
    while tb is not None:
        place, tb = f"{Path(tb.tb_frame.f_code.co_filename).name}:{tb.tb_lineno}", tb.tb_next
    return place


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(shadowlab.__version__, prog_name="shadowlab")
def main() -> None:
    """From a trace to a proved fix, in shadow mode: observe, replay, diagnose, draft, prove.

    A case is a folder. Try `shadowlab demo` first; then, for an incident of your own:

    \b
      shadowlab ingest CASE traces.jsonl recordings/ --source path/to/service
      shadowlab triage CASE --slo objective.yaml
      shadowlab replay CASE --times 20
      shadowlab diagnose CASE
      shadowlab propose CASE
      shadowlab gate CASE
      shadowlab report CASE

    Exit codes: 0 done (and a positive verdict), 1 a negative or inconclusive verdict, 2 misuse or unusable input.
    """


def verb(name: str, *, create: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A command whose function takes the open investigation first and returns a record to print."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @main.command(name)
        @CASE
        @click.option("--source", type=FILE, help="The service's repository; remembered by the case.")
        @click.option(
            "--lock-timeout",
            default=10.0,
            show_default=True,
            type=click.FloatRange(min=0),
            help="Seconds to wait for another writer.",
        )
        @JSON
        @functools.wraps(function)
        def command(
            case: Path,
            source: Path | None,
            lock_timeout: float,
            as_json: bool,
            telemetry: str | None = None,
            **options: Any,
        ) -> None:
            from shadowlab import terminal
            from shadowlab.case import as_it_was
            from shadowlab.investigation import open_investigation
            from shadowlab.progress import TerminalBars

            with TerminalBars() as bars, as_it_was(case):
                inv = open_investigation(
                    case,
                    source=source,
                    create=create or telemetry is not None,
                    progress=bars,
                    lock_timeout=lock_timeout,
                    telemetry=telemetry,
                )
                result = function(inv, **options)
            sys.exit(terminal.show(result, as_json=as_json))

        return command

    return decorate
