"""Every run of the tests has a cache of its own, shared by its worker processes."""
from __future__ import annotations

import atexit
import os
import shutil
import tempfile

if "PYTEST_XDIST_WORKER" not in os.environ:
    _folder = tempfile.mkdtemp(prefix="symbolic-tests-")
    os.environ["SYMBOLIC_CACHE_DIR"] = _folder
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)
