"""What every command shares: options, one message for what is raised on purpose, exit codes."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

import shadowlab
from shadowlab import errors, interrupts
from shadowlab.exit_codes import MEANINGS, ExitCode

FILE, FOLDER = click.Path(path_type=Path), click.Path(path_type=Path, file_okay=False, writable=True)
CASE = click.argument("case", type=FILE)
TELEMETRY = click.option("--telemetry", metavar="URL", help="A larger store to ask, where it is; see docs/scale.md.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document on standard output.")

_WORDS = "shadowlab.words"
"""Where a command's context has the words that were typed."""

_ROOM = "make room and run it again; the case holds what was kept before"
_RIGHTS = "run it as somebody who may read and write there, or name another place"
_REFUSED = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EROFS: _RIGHTS,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EFBIG: "raise the limit of a file's size: ulimit -f unlimited",
    errno.EMFILE: "raise the limit of open files: ulimit -n 4096",
}
"""What to do where the machine refuses something, by the number of its error."""


class Commands(click.Group):
    """Turns what is raised on purpose into one message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with interrupts.restored():
                return super().invoke(ctx)
        except errors.ShadowlabError as exc:
            _complain(f"error: {exc}", ctx.meta[_WORDS])
            ctx.exit(ExitCode.UNUSABLE)
        except KeyboardInterrupt:
            ctx.exit(_interrupted())
        except BrokenPipeError:
            ctx.exit(_unread())
        except click.ClickException as exc:
            ctx.exit(_refused(exc, ctx.meta[_WORDS]))
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as exc:  # the last net: a fault of ours must not look like a verdict (exit 1)
            if os.environ.get("SHADOWLAB_TRACEBACK"):
                raise
            ctx.exit(_caught(exc, ctx.meta[_WORDS]))

    def make_context(self, info_name: str | None, args: list[str], *given: Any, **named: Any) -> click.Context:
        """Read the words of the command line; click calls Ctrl-C an abort there, and exits 1."""
        words = tuple(args)  # click takes them out one by one
        try:
            context = super().make_context(info_name, args, *given, **named)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(_interrupted()) from None
        except BrokenPipeError:
            raise click.exceptions.Exit(_unread()) from None
        except OSError as exc:  # the help and the version are printed there
            raise click.exceptions.Exit(_caught(exc, words)) from None
        except click.ClickException as exc:
            raise click.exceptions.Exit(_refused(exc, words)) from None
        context.meta[_WORDS] = words
        return context

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each verb with its whole first sentence, where click cuts it after a line."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(limit=1000)) for name, each in self.commands.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What the exit codes mean."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), meaning) for code, meaning in MEANINGS.items()])


def _complain(text: str, words: Iterable[str]) -> None:
    from shadowlab.terminal import complaint

    with contextlib.suppress(OSError):  # nowhere to say it: the exit code still does
        click.echo(complaint(text, words), err=True)


def _refused(exc: click.ClickException, words: Iterable[str]) -> int:
    """Say why click refuses the command's words, repeating no secret among them; gives the exit code."""
    from shadowlab.terminal import complaint

    told = complaint(said := exc.format_message(), words)
    if told != said:
        exc = click.UsageError(told, exc.ctx) if isinstance(exc, click.UsageError) else click.ClickException(told)
    with contextlib.suppress(OSError):
        exc.show()
    return exc.exit_code


def _interrupted() -> ExitCode:
    _complain("interrupted; the case holds what was kept before", ())
    return ExitCode.INTERRUPTED


def _unread() -> ExitCode:
    """Nobody reads standard output any more, as after `| head`."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.DONE


def _caught(exc: Exception, words: Iterable[str]) -> ExitCode:
    """Say what nobody raised on purpose: the machine refuses something, or it is a fault of ours."""
    if isinstance(exc, OSError) and exc.errno in _REFUSED:
        where = f"{exc.filename}: " if exc.filename else ""
        told, hint, code = f"{where}{exc.strerror}", _REFUSED[exc.errno], ExitCode.UNUSABLE
    else:
        told = f"a fault of shadowlab itself ({type(exc).__name__} in {_place(exc)})"
        hint, code = "set SHADOWLAB_TRACEBACK=1 for the traceback, and please report it", ExitCode.FAULT
    _complain(f"error: {told}\nhint: {hint}", words)
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
