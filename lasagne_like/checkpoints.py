"""States of training in a file: written whole or not at all, and enough to go on to the last bit."""
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lasagne_like import safetensors

_FORMAT = "lasagne_like training 1"


class CheckpointError(ValueError):
    """A checkpoint that belongs to another training."""


def _described(shareds: Sequence[Any]) -> list[list[Any]]:
    # the states of random streams count on with each expression that is built
    return [[(s.name or "").rstrip("0123456789"), s.dtype, s.ndim] for s in shareds]


def write(path: Any, shareds: Sequence[Any], best: Sequence[np.ndarray] | None, state: dict[str, Any], rng: np.random.Generator,
          settings: dict[str, Any]) -> None:
    """Write the values of shared variables and what else training needs to go on.

    Parameters
    ----------
    path : str or Path
    shareds : list of SharedVariable
        All that the step reads and updates: parameters, running averages, the rule's, states of random streams.
    best : list of array or None
        The parameters of the best epoch.
    state : dict
        Plain numbers, lists and text: the epoch, the history.
    rng : numpy.random.Generator
        What shuffles.
    settings : dict
        What must be the same when training goes on.
    """
    arrays = {f"shared/{k}": s.get_value(borrow=True) for k, s in enumerate(shareds)}
    arrays |= {f"best/{k}": a for k, a in enumerate(best or ())}
    meta = {"format": _FORMAT, "shared": _described(shareds), "state": state, "rng": rng.bit_generator.state,
            "settings": settings}
    safetensors.write_file(path, safetensors.dump(arrays, {"training": json.dumps(meta)}))


def read(path: Any, shareds: Sequence[Any], rng: np.random.Generator, settings: dict[str, Any]
         ) -> tuple[dict[str, Any], list[np.ndarray]] | None:
    """Set shared variables and the generator as a checkpoint says; return its state and the best parameters.

    Returns
    -------
    (dict, list of array) or None
        None if there is no such file.

    Raises
    ------
    CheckpointError
        If it is damaged, or comes from another network, rule, data or settings; nothing is set then.
    """
    if not Path(path).exists():
        return None
    try:
        arrays, metadata = safetensors.parse(Path(path).read_bytes())
        meta = json.loads(metadata["training"])
        known = meta["format"] == _FORMAT
    except (safetensors.SafetensorsError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} isn't a checkpoint of training: {error}; remove it to start again") from None
    if not known:
        raise CheckpointError(f"{path} has the format {meta['format']!r}, expected {_FORMAT!r}; remove it to start again")
    hint = "; pass resume=False to start again, or another checkpoint="
    if meta["shared"] != _described(shareds):
        raise CheckpointError(f"{path} belongs to another network or update rule: it holds {len(meta['shared'])} variables, "
                              f"this training has {len(shareds)}{hint}")
    for name, value in settings.items():
        if meta["settings"].get(name) != value:
            raise CheckpointError(f"{path} was made with {name}={meta['settings'].get(name)!r}, now it is {value!r}{hint}")
    shapes = [arrays[f"shared/{k}"].shape for k in range(len(shareds))]
    for s, shape in zip(shareds, shapes, strict=True):
        if s.get_value(borrow=True).shape != shape:
            raise CheckpointError(f"{path}: {s} has shape {s.get_value(borrow=True).shape}, there it has {shape}{hint}")
    for k, s in enumerate(shareds):
        s.set_value(arrays[f"shared/{k}"])
    rng.bit_generator.state = meta["rng"]
    best = [arrays[f"best/{k}"] for k in range(sum(name.startswith("best/") for name in arrays))]
    return meta["state"], best
