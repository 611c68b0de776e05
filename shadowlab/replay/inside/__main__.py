"""Start the fork server: `python -P -s -B .../inside SOCKET steady|random`; *steady* fixes addresses."""

import contextlib
import ctypes
import importlib.util
import os
import sys

_ADDR_NO_RANDOMIZE = 0x0040000


def _steady_addresses() -> None:
    """Run again with fixed addresses, where the kernel lets us; `id()` and 3.11's `hash(None)` depend on them."""
    libc = ctypes.CDLL(None, use_errno=True)
    now = libc.personality(0xFFFFFFFF)
    if now >= 0 and not now & _ADDR_NO_RANDOMIZE and libc.personality(now | _ADDR_NO_RANDOMIZE) >= 0:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _start() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))
    if sys.path[0] == folder:
        # Pythons before 3.11 know no -P: our modules must not be found under their bare names.
        del sys.path[0]
    spec = importlib.util.spec_from_file_location(
        "_shadowlab_inside", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["_shadowlab_inside"] = package
    spec.loader.exec_module(package)
    importlib.import_module("_shadowlab_inside.zygote").main(sys.argv[1], shared="shared" in sys.argv[3:])


if __name__ == "__main__":
    if sys.argv[2] == "steady" and os.environ.get("SHADOWLAB_STEADY") != "1":
        os.environ["SHADOWLAB_STEADY"] = "1"
        _steady_addresses()
    os.environ.pop("SHADOWLAB_STEADY", None)
    if sys.argv[2] == "random":
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    _start()
