"""The page of what each name can do is that of the code, names nothing that isn't there, and leaves nothing of Theano's out."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_names import ELEMENTWISE, FUNCTIONS

import symbolic
import symbolic.tensor as T
from symbolic.testing import coverage
from symbolic.theano.table import NAMES

PAGE = Path(__file__).parent.parent / "docs" / "coverage.md"
#: names of the tables of arguments that aren't functions of arrays
OTHERS = {"grad", "Lop", "Rop", "jacobian", "hessian", "vectorize", "vmap", "scalar", "vector", "matrix", "row", "col", "tensor3",
          "is_flat", "get_vector_length", "tril_indices", "triu_indices", "broadcast_arrays", "digitize", "histogram", "interp",
          "unique", "fft.fftn", "fft.ifftn", "fft.fftfreq"}


def test_the_page_is_what_the_code_says():
    assert PAGE.read_text() == coverage.page(coverage.lines(coverage.scene())), \
        "python -m symbolic.testing.coverage > docs/coverage.md writes it anew"


def test_every_name_is_there():
    here = {name for _, name, _ in coverage.calls()}
    documented = {part.strip().partition("(")[0] for part in FUNCTIONS.replace("\n", " ").strip().split(") ")}
    assert (documented | set(ELEMENTWISE)) - here - OTHERS == set()
    functions = [n.removeprefix("theano.tensor.") for n in NAMES if n.startswith("theano.tensor.")]
    classes = {"Elemwise", "TensorConstant", "TensorVariable", "TensorType", "join", "sharedvar"}
    types = ("scalar", "vector", "matrix", "tensor3", "tensor4")
    missing = {n for n in functions if n not in here and "." not in n and n not in OTHERS | classes and not n.endswith(types)
               and callable(getattr(T, n, None)) and not isinstance(getattr(T, n), type)}
    assert missing == set()


@pytest.mark.parametrize("family", coverage.CALLS)
def test_the_calls_compute_the_same_natively(family):
    place = coverage.scene()
    made = [(call, coverage.evaluated(call, dict(place.names))) for f, _, call in coverage.calls() if f == family]
    outs = [v for _, vs in made for v in vs]
    inputs = list(place.values)
    how = {"on_unused_input": "ignore", "no_default_updates": True}
    results = [symbolic.function(inputs, outs, mode=mode, **how)(*place.values.values()) for mode in ("FAST_RUN", "FAST_COMPILE")]
    names = [call for call, vs in made for _ in vs]
    for call, native, interpreted in zip(names, *results, strict=True):
        assert native.shape == interpreted.shape and native.dtype == interpreted.dtype, call
        np.testing.assert_allclose(native, interpreted, rtol=1e-6, atol=1e-8, err_msg=call)


def test_where_a_name_stands_depends_on_its_graph():
    place = coverage.scene()
    inputs = list(place.values)
    for call, want in (("tanh(x)", "C"), ("dot(x, y)", "C, BLAS"), ("slinalg.cholesky(a)", "C, BLAS, LAPACK"),
                       ("fft.fft(z)", "Python: fft")):
        assert coverage.native(coverage.nodes_of(coverage.evaluated(call, dict(place.names)), inputs)) == want
