"""PyTorch, compiled: what `peer_torch` does, its expressions and losses through ``torch.compile``."""
from __future__ import annotations

import peer_torch
import torch
from peer_torch import prepare as prepare

peer_torch.compiled = torch.compile
WRITTEN = "torch"


def describe() -> str:
    """Return version and backend."""
    return f"{peer_torch.describe()}, torch.compile (inductor)".replace(" eager", "")
