"""``python -m symbolic.theano program.py arguments...``: run a program whose ``import theano`` means this package."""
from __future__ import annotations

import os
import runpy
import sys

from symbolic.theano import install_as_theano


def main(argv: list[str]) -> int:
    """Run a program under Theano's name, or with ``-m`` a module; return the exit status."""
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: python -m symbolic.theano program.py [argument ...]\n       python -m symbolic.theano -m module "
              "[argument ...]\n\nRuns a program whose `import theano` means symbolic. THEANO_FLAGS and ~/.theanorc are read.")
        return 0 if argv else 2
    try:
        install_as_theano()
    except ValueError as error:
        print(f"symbolic.theano: {error}", file=sys.stderr)
        return 2
    if argv[0] == "-m":
        if len(argv) < 2:
            print("symbolic.theano: -m needs the name of a module", file=sys.stderr)
            return 2
        sys.argv = argv[1:]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
        return 0
    if not os.path.exists(argv[0]):
        print(f"symbolic.theano: there is no file {argv[0]}", file=sys.stderr)
        return 2
    sys.argv = argv
    sys.path.insert(0, os.path.dirname(os.path.abspath(argv[0])))
    runpy.run_path(argv[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
