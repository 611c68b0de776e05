"""Run a template with papermill, in the running interpreter's own kernel."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from traitlets.config import Config

from shadowlab import errors
from shadowlab.progress import Progress
from shadowlab.report.templates import Template
from shadowlab.scratch import Scratch

_CELL_TIMEOUT_S = 600
_SOCKET_PATH = 80
"""Longest folder in which a Unix socket still finds room for its name (108 bytes in all)."""


class OwnKernel(AsyncKernelManager):
    """A kernel of this interpreter: no kernelspec is looked up, no port is opened, nothing is said on standard error.

    `-P` and `--ignore-cwd` keep the case folder, which may come from anywhere, off the module search path.
    """

    @property
    def kernel_spec(self) -> KernelSpec:
        """This interpreter with ipykernel, whatever kernelspecs are installed."""
        words = [sys.executable, "-P", "-m", "ipykernel_launcher", "-f", "{connection_file}", "--ignore-cwd"]
        return KernelSpec(argv=words, display_name="Python 3", language="python")

    async def _async_launch_kernel(self, kernel_cmd: list[str], **words: Any) -> None:
        private = str(Path(self.connection_file).parent)
        wanted = {
            "IPYTHONDIR": private,
            "JUPYTER_CONFIG_DIR": private,
            "PLOTLY_RENDERER": "plotly_mimetype",
            "PYTHONHASHSEED": "0",
        }
        words["env"] = {**words.get("env", os.environ), **wanted}
        await super()._async_launch_kernel(kernel_cmd, **{**words, "stderr": subprocess.DEVNULL})


def execute(
    template: Template,
    parameters: Mapping[str, Any],
    *,
    folder: Path,
    progress: Progress | None = None,
) -> Any:
    """The executed notebook, as nbformat's node; the kernel's working folder is `folder`, and `case` is its parent.

    Raises `ReportError` with the failing cell's error; nothing is written.
    """
    import papermill

    done = 0

    def count(**_: Any) -> None:
        nonlocal done
        done += 1
        if progress:
            progress(f"report {template.name}", done, template.cells + 1)

    with _quiet(), Scratch("slk-") as private:
        try:
            return papermill.execute_notebook(
                str(template.path),
                None,
                parameters={"case": "..", **parameters},
                kernel_name="python3",
                language="python",
                progress_bar=False,
                resources={"metadata": {"path": str(folder.resolve())}},  # `cwd=` would move this process, too
                execution_timeout=_CELL_TIMEOUT_S,
                kernel_manager_class=OwnKernel,
                config=_kernel(str(private.path)),
                on_cell_executed=count,
            )
        except papermill.PapermillExecutionError as exc:
            raise errors.ReportError(
                f"template {template.name} stopped in this cell: {exc.ename}: {exc.evalue}\n{_indented(exc.source)}",
                hint="nothing was written; run the verbs that the template asks for, or mend the template",
            ) from exc
        except Exception as exc:  # a kernel can die in many ways, and each library names its own
            raise errors.ReportError(
                f"template {template.name} did not run: {type(exc).__name__}: {exc}",
                hint="nothing was written; does `python -m ipykernel --version` work here?",
            ) from exc


def _kernel(private: str) -> Config:
    """Unix sockets in a folder that only this user may enter, and no port; a long `TMPDIR` leaves no room for them."""
    transport = "ipc" if len(private) < _SOCKET_PATH else "tcp"
    return Config({"OwnKernel": {"connection_file": f"{private}/kernel.json", "transport": transport}})


def _indented(source: str) -> str:
    return "\n".join(f"    {line}" for line in source.splitlines()[:5])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """papermill and its libraries warn of what we do on purpose; errors come as exceptions."""
    log = logging.getLogger("papermill")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
