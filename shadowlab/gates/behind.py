"""Run a module with a folder of packages behind all others on the path; needs the standard library alone.

usage: python behind.py FOLDER MODULE WORDS...
"""

import os
import runpy
import sys

if __name__ == "__main__":
    folder, module = sys.argv[1:3]
    del sys.argv[1:3]
    # As `python -m` has it: the working folder first.
    sys.path[0] = os.getcwd()
    sys.path.append(folder)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
