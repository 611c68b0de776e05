"""Confine this process with Landlock and seccomp, then become the command: where there are no namespaces to be had.

usage: python -I confine_within.py INSIDE FOLDER COMMAND...   (INSIDE: the folder of `shadowlab.replay.inside`)
"""

import ctypes
import importlib
import importlib.util
import os
import sys

_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
_NO_NEW_PRIVS = 38


def _confine(inside: str, folder: str) -> None:
    spec = importlib.util.spec_from_file_location(
        "_shadowlab_inside", os.path.join(inside, "__init__.py"), submodule_search_locations=[inside]
    )
    assert spec is not None
    sys.modules["_shadowlab_inside"] = importlib.util.module_from_spec(spec)
    landlock = importlib.import_module("_shadowlab_inside.landlock")
    bpf = importlib.import_module("_shadowlab_inside.bpf")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    held = landlock.confine(libc, readable=("/",), writable=(folder, *_DEVICES), runs=True)
    if not held or not bpf.confine_command(libc):
        sys.exit("this kernel holds nothing: no Landlock, or no seccomp")


if __name__ == "__main__":
    _confine(*sys.argv[1:3])
    os.execvp(sys.argv[3], sys.argv[3:])
