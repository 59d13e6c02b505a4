"""Parameters of networks in files, from files, and from one network to another."""
from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from lasagne_like import caffe, pickles, pytorch, safetensors
from lasagne_like.layers.base import Layer
from lasagne_like.layers.helper import get_all_layers, get_all_params


def param_names(network: Any, **tags: bool) -> dict[str, Any]:
    """Return the parameters of a network by names that differ.

    Parameters
    ----------
    network : Layer or list of Layer
    **tags : bool
        As for ``Layer.get_params``.

    Returns
    -------
    dict from str to SharedVariable
        A parameter that has no name, or one that came before, is named after its place as well: ``W#3``.

    Examples
    --------
    >>> from lasagne_like.layers import DenseLayer
    >>> list(param_names(DenseLayer(DenseLayer((None, 3), 2, name="h"), 2)))
    ['h.W', 'h.b', 'W#2', 'b#3']
    """
    out: dict[str, Any] = {}
    for k, p in enumerate(get_all_params(network, **tags)):
        name = p.name or "param"
        out[name if "." in name and name not in out else f"{name}#{k}"] = p
    return out


def save(network: Any, path: Any, **tags: bool) -> None:
    """Write the parameters' values into a file; an old one is replaced at once, or stays.

    Parameters
    ----------
    network : Layer or list of Layer
    path : str or Path
        Ending in .npz or .safetensors.
    **tags : bool
        Only some parameters, as for ``Layer.get_params``.

    Raises
    ------
    ValueError
        For another ending.
    """
    arrays = {name: p.get_value(borrow=True) for name, p in param_names(network, **tags).items()}
    ending = Path(path).suffix
    if ending == ".safetensors":
        data = safetensors.dump(arrays)
    elif ending == ".npz":
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        data = buffer.getvalue()
    else:
        raise ValueError(f"save: the file must end in .npz or .safetensors, got {str(path)!r}")
    safetensors.write_file(path, data)


def read(path: Any) -> dict[str, np.ndarray]:
    """Return the arrays of a file by name.

    Parameters
    ----------
    path : str or Path
        .npz, .safetensors, .caffemodel (see `caffe.read`), a ``state_dict()`` of PyTorch (.pt, .pth; see
        `pytorch.as_lasagne`), or a pickle of Lasagne's model zoo (.pkl, .pickle), whose arrays are named by their place.

    Raises
    ------
    ValueError
        For another ending, or a file that holds other things.
    """
    ending = Path(path).suffix
    if ending == ".safetensors":
        return safetensors.parse(Path(path).read_bytes())[0]
    if ending == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    if ending == ".caffemodel":
        return caffe.read(path)
    if ending in (".pt", ".pth"):
        return pytorch.as_lasagne(pytorch.load(path))
    if ending in (".pkl", ".pickle"):
        return {f"arr_{k}": a for k, a in enumerate(pickles.param_values(path))}
    raise ValueError("read: the file must end in .npz, .safetensors, .caffemodel, .pt, .pth, .pkl or .pickle, got "
                     f"{str(path)!r}")


def load(network: Any, path: Any, **tags: bool) -> None:
    """Set all parameters' values from a file: by name, or in order from one that numpy.savez or a model zoo's pickle numbered.

    Parameters
    ----------
    network : Layer or list of Layer
    path : str or Path
        As for `read`.
    **tags : bool
        Only some parameters, as for ``Layer.get_params``.

    Raises
    ------
    ValueError
        If names or shapes differ; no value is set then.
    """
    arrays, params = read(path), param_names(network, **tags)
    if all(name == f"arr_{k}" for k, name in enumerate(arrays)):
        if len(arrays) != len(params):
            raise ValueError(f"load: {path} holds {len(arrays)} arrays, the network has {len(params)} parameters")
        arrays = dict(zip(params, arrays.values(), strict=True))
    missing, extra = [n for n in params if n not in arrays], [n for n in arrays if n not in params]
    if missing or extra:
        raise ValueError(f"load: {path} and the network differ; the file lacks {_some(missing)}, "
                         f"the network lacks {_some(extra)}; copy_matching takes over what fits")
    for name, p in params.items():
        if arrays[name].shape != p.get_value(borrow=True).shape:
            raise ValueError(f"load: {name} has shape {p.get_value(borrow=True).shape}, the file's {arrays[name].shape}")
    for name, p in params.items():
        p.set_value(arrays[name].astype(p.dtype))


def _some(names: Sequence[str]) -> str:
    return "nothing" if not names else ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


@dataclass(frozen=True)
class Copied:
    """What became of one parameter: its name, its shape, that of the source (None: there is none), and whether it was copied."""

    name: str
    shape: tuple[int, ...]
    source: tuple[int, ...] | None
    copied: bool


def copy_matching(source: Any, network: Any, show: bool = True) -> list[Copied]:
    """Copy parameters of the same name and shape; others keep the values that they were initialised with.

    Parameters
    ----------
    source : Layer, list of Layer, dict from str to array, or path
        Where values come from; a file as for `read`.
    network : Layer or list of Layer
        Where they go.
    show : bool
        Print a table of what went where.

    Returns
    -------
    list of Copied
        One for each parameter of `network`.
    """
    if isinstance(source, Layer) or (isinstance(source, (list, tuple)) and all(isinstance(s, Layer) for s in source)):
        arrays: Mapping[str, Any] = {n: p.get_value(borrow=True) for n, p in param_names(source).items()}
    else:
        arrays = source if isinstance(source, Mapping) else read(source)
    rows = []
    for name, p in param_names(network).items():
        own, given = p.get_value(borrow=True).shape, np.shape(arrays[name]) if name in arrays else None
        if own == given:
            p.set_value(np.asarray(arrays[name]).astype(p.dtype))
        rows.append(Copied(name, own, given, own == given))
    if show:
        _show(rows, [n for n in arrays if n not in {r.name for r in rows}])
    return rows


def _show(rows: Sequence[Copied], unused: Sequence[str]) -> None:
    table = Table("parameter", "shape", "source", "")
    for r in rows:
        why = "copied" if r.copied else "initialised: not in the source" if r.source is None else "initialised: other shape"
        table.add_row(r.name, str(r.shape), "" if r.source is None else str(r.source), why)
    for name in unused:
        table.add_row(name, "", "", "only in the source")
    Console().print(table)


def freeze(network: Any, *names: str, **tags: bool) -> list[str]:
    """Take parameters out of training: ``get_all_params(network, trainable=True)`` doesn't return them any more.

    Parameters
    ----------
    network : Layer or list of Layer
    *names : str
        Names of parameters or layers, with wildcards (``"conv*"``); all, if none is given.
    **tags : bool
        Only parameters with, or without, these tags.

    Returns
    -------
    list of str
        The names of those frozen.

    Raises
    ------
    ValueError
        If no parameter fits.
    """
    return _switch(network, names, tags, False)


def unfreeze(network: Any, *names: str, **tags: bool) -> list[str]:
    """Train what `freeze` took out; arguments and result are the same."""
    return _switch(network, names, {"frozen": True} | tags, True)


def _switch(network: Any, names: Sequence[str], tags: Mapping[str, bool], on: bool) -> list[str]:
    labels = {p: name for name, p in param_names(network).items()}
    found = []
    for layer in get_all_layers(network):
        for p in layer.get_params(unwrap_shared=True, **tags):
            own = layer.params.get(p)
            fits = not names or any(fnmatchcase(labels[p], n) or fnmatchcase(layer.name or "", n) for n in names)
            if own is None or not fits or (not on and "trainable" not in own):
                continue
            own.symmetric_difference_update({"trainable", "frozen"})  # exactly one of them is there
            found.append(labels[p])
    if not found:
        what = " or ".join(map(repr, names)) or "the tags"
        raise ValueError(f"{'unfreeze' if on else 'freeze'}: no parameter fits {what}; there are {', '.join(labels.values())}")
    return found
