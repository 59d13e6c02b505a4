"""PyTensor with its C linker: what `peer_pytensor` does."""
from __future__ import annotations

import os

os.environ["PYTENSOR_FLAGS"] = os.environ.get("PYTENSOR_FLAGS", "") + ",linker=cvm"
from peer_pytensor import describe as describe  # noqa: E402 (the linker is chosen before it is imported)
from peer_pytensor import prepare as prepare  # noqa: E402

WRITTEN = "pytensor"
