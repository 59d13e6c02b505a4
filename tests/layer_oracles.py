"""What layers compute, by loops in NumPy and by SciPy: independent of the layers and of each other."""
from __future__ import annotations

import itertools

import numpy as np
from scipy.ndimage import map_coordinates


def pads(pad, size):
    if pad == "full":
        return tuple(f - 1 for f in size)
    if pad == "same":
        return tuple(f // 2 for f in size)
    return tuple(pad) if isinstance(pad, tuple) else (0 if pad == "valid" else pad,) * len(size)


def correlated(a, w, stride=1, pad=0, dilation=1, groups=1, flip=True):
    """Return the correlation of `a` with `w` (filters, channels, ...), or with `flip` the convolution, by loops."""
    n = a.ndim - 2
    size = w.shape[2:]
    stride, dilation = (s if isinstance(s, tuple) else (s,) * n for s in (stride, dilation))
    border = pads(pad, tuple((f - 1) * d + 1 for f, d in zip(size, dilation, strict=True)))
    a = np.pad(a, [(0, 0), (0, 0), *[p if isinstance(p, tuple) else (p, p) for p in border]])
    w = w[(slice(None), slice(None), *[slice(None, None, -1)] * n)] if flip else w
    out_size = [(e - (f - 1) * d - 1) // s + 1 for e, f, d, s in zip(a.shape[2:], size, dilation, stride, strict=True)]
    out = np.zeros((a.shape[0], w.shape[0], *out_size))
    per_in, per_out = a.shape[1] // groups, w.shape[0] // groups
    for k in range(w.shape[0]):
        mine = a[:, k // per_out * per_in:(k // per_out + 1) * per_in]
        for at in itertools.product(*map(range, out_size)):
            window = tuple(slice(i * s, i * s + (f - 1) * d + 1, d) for i, s, f, d in zip(at, stride, size, dilation,
                                                                                          strict=True))
            out[(slice(None), k, *at)] = (mine[(slice(None), slice(None), *window)] * w[k]).sum(axis=tuple(range(1, n + 2)))
    return out


def transposed(a, w, stride, crop, size, flip):
    """Return the transposed convolution by loops: each input element adds a filter to the output."""
    n = a.ndim - 2
    stride = stride if isinstance(stride, tuple) else (stride,) * n
    cut = pads(crop, w.shape[2:])
    whole = [s + 2 * c for s, c in zip(size, cut, strict=True)]
    out = np.zeros((a.shape[0], w.shape[1], *whole))
    w = w if flip else w[(slice(None), slice(None), *[slice(None, None, -1)] * n)]
    for at in itertools.product(*map(range, a.shape[2:])):
        window = tuple(slice(i * s, i * s + f) for i, s, f in zip(at, stride, w.shape[2:], strict=True))
        out[(slice(None), slice(None), *window)] += np.tensordot(a[(slice(None), slice(None), *at)], w, 1)
    return out[(slice(None), slice(None), *(slice(c, e - c) for c, e in zip(cut, whole, strict=True)))]


def pooled(a, size, stride, pad, ignore, mode):
    """Return the pooling of the axes behind the second, window by window."""
    n = a.ndim - 2
    size, stride, pad = (s if isinstance(s, tuple) else (s,) * n for s in (size, stride or size, pad))
    padded = np.pad(a, [(0, 0), (0, 0), *[(p, p) for p in pad]], constant_values=np.nan)
    starts = []
    for extent, f, s in zip(padded.shape[2:], size, stride, strict=True):
        all_starts = [k for k in range(0, extent, s)]
        if ignore:
            starts.append([k for k in all_starts if k + f <= extent])
        else:
            whole = next((i for i, k in enumerate(all_starts) if k + f >= extent), len(all_starts) - 1)
            starts.append(all_starts[:whole + 1])
    out = np.zeros((*a.shape[:2], *map(len, starts)))
    for at in itertools.product(*map(range, out.shape[2:])):
        window = padded[(slice(None), slice(None), *(slice(starts[k][i], starts[k][i] + size[k]) for k, i in enumerate(at)))]
        flat = window.reshape(*a.shape[:2], -1)
        out[(slice(None), slice(None), *at)] = {
            "max": lambda w: np.nanmax(w, axis=2), "sum": lambda w: np.nansum(w, axis=2),
            "average_exc_pad": lambda w: np.nanmean(w, axis=2),
            "average_inc_pad": lambda w: np.nansum(w, axis=2) / w.shape[2]}[mode](flat)
    return out


def normalized(a, axes, eps=1e-4):
    return (a - a.mean(axis=axes, keepdims=True)) / np.sqrt(a.var(axis=axes, keepdims=True) + eps)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def value(p):
    """Return what a parameter holds: a shared variable, or an expression of some."""
    return p.get_value() if hasattr(p, "get_value") else p.eval()


def plain(layer, x, h, c, f=lambda v: np.maximum(v, 0)):
    return f(x @ value(layer.W_in_to_hid) + h @ value(layer.W_hid_to_hid) + (0 if layer.b is None else value(layer.b))), c


def lstm(layer, x, h, c, f=np.tanh, gates=(sigmoid, sigmoid, np.tanh, sigmoid)):
    names = ("ingate", "forgetgate", "cell", "outgate")
    pre = {k: x @ value(getattr(layer, f"W_in_to_{k}")) + h @ value(getattr(layer, f"W_hid_to_{k}"))
           + value(getattr(layer, f"b_{k}")) for k in names}
    peep = {k: value(getattr(layer, f"W_cell_to_{k}")) if layer.peepholes and k != "cell" else 0 for k in names}
    on = dict(zip(names, gates, strict=True))
    kept = on["forgetgate"](pre["forgetgate"] + c * peep["forgetgate"]) * c
    new = kept + on["ingate"](pre["ingate"] + c * peep["ingate"]) * on["cell"](pre["cell"])
    return on["outgate"](pre["outgate"] + new * peep["outgate"]) * f(new), new


def gru(layer, x, h, c, f=None, gates=(sigmoid, sigmoid, np.tanh)):
    def pre(k, r=1):
        return (x @ value(getattr(layer, f"W_in_to_{k}")) + r * (h @ value(getattr(layer, f"W_hid_to_{k}")))
                + value(getattr(layer, f"b_{k}")))
    u = gates[1](pre("updategate"))
    return (1 - u) * h + u * gates[2](pre("hidden_update", gates[0](pre("resetgate")))), c


def walked(step, layer, a, h=0.0, c=0.0, mask=None, backwards=False, **kwargs):
    """Return the outputs (batch, time, units) of a loop in NumPy."""
    n, steps = a.shape[:2]
    a = a.reshape(n, steps, -1)
    h, c = np.zeros((n, 4)) + h, np.zeros((n, 4)) + c
    out = np.zeros((n, steps, 4))
    for t in reversed(range(steps)) if backwards else range(steps):
        new_h, new_c = step(layer, a[:, t], h, c, **kwargs)
        on = np.ones((n, 1)) if mask is None else mask[:, t, None] != 0
        h, c = np.where(on, new_h, h), np.where(on, new_c, c)
        out[:, t] = h
    return out


#: SciPy's names of the borders
MODES = {"nearest": "nearest", "mirror": "reflect", "wrap": "grid-wrap"}


def looked(a, x, y, mode):
    """Return an image (channels, rows, columns) at places from -1 to 1, bilinear."""
    h, w = a.shape[1:]
    at = [(y + 1) / 2 * (h - 1), (x + 1) / 2 * (w - 1)]
    return np.stack([map_coordinates(c, at, order=1, mode=MODES[mode]) for c in a])


def places(rows, columns):
    line = lambda n: np.linspace(-1, 1, n)  # noqa: E731
    return np.meshgrid(line(columns), line(rows))
