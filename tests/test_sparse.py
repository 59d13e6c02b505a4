"""Sparse matrices against SciPy: conversions, arithmetic, products, derivatives, shared variables, functions, errors."""
from __future__ import annotations

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic import errors, sparse

ss = pytest.importorskip("scipy.sparse")
MODES = ["FAST_RUN", "FAST_COMPILE"]
SHAPES = [(6, 5), (1, 4), (4, 1), (0, 3), (3, 0), (5, 5)]


def drawn(shape, format="csr", dtype="float64", seed=0, density=0.4):
    made = ss.random(*shape, density, format=format, random_state=seed, data_rvs=np.random.default_rng(seed).standard_normal)
    if np.dtype(dtype).kind in "iu":
        made.data = np.round(made.data * 5)
    return made.astype(dtype)


def same(got, want, format=None):
    """Sparse or dense, equal in value, shape and dtype; a sparse result is sorted and without doubles."""
    if ss.issparse(got):
        assert got.has_canonical_format and (format is None or got.format == format)
        got = got.toarray()
    want = want.toarray() if ss.issparse(want) else np.asarray(want)
    assert got.shape == want.shape
    rough = want.dtype == "float32"
    np.testing.assert_allclose(got, want, rtol=1e-5 if rough else 1e-12, atol=1e-6 if rough else 1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_conversions_and_arithmetic(format, mode):
    x, y = sparse.matrix(format, "x", "float64"), sparse.matrix(format, "y", "float64")
    d, v, s = T.dmatrix("d"), T.dvector("v"), T.dscalar("s")
    u = T.dvector("u")
    outputs = {
        "dense": sparse.dense_from_sparse(x), "csr": x.tocsr(), "csc": x.tocsc(), "csr of dense": sparse.csr_from_dense(d),
        "csc of dense": sparse.csc_from_dense(d), "T": x.T, "neg": -x, "add": x + y, "sub": x - y, "mul": x * y, "twice": x + x,
        "times": sparse.mul(x, s), "times dense": x * d, "times vector": x * v, "plus dense": x + d,
        "dense minus": sparse.sub(d, x),
        "row scale": sparse.row_scale(x, u), "col scale": sparse.col_scale(x, v), "sum": sparse.sp_sum(x), "sum 0": x.sum(0),
        "sum 1": x.sum(axis=1), "hstack": sparse.hstack([x, y], format=format), "vstack": sparse.vstack([x, y, x], "csr"),
        "ones": sparse.sp_ones_like(x), "zeros": sparse.sp_zeros_like(x), "int": x.astype("int32"),
        "add s v": sparse.structured_add_s_v(x, v),
        "eq": sparse.eq(x, y), "gt": x > y, "le dense": sparse.le(x, d), "clean": sparse.clean(sparse.sub(x, x)),
        "exp": sparse.structured_exp(x), "pow": sparse.structured_pow(x, 2.0), "max": sparse.structured_maximum(x, 0.1),
        "tanh": sparse.tanh(x), "log1p": sparse.log1p(x * x),
    }
    f = symbolic.function([x, y, d, v, u, s], outputs, mode=mode)
    for shape in SHAPES:
        a, b = drawn(shape, format, seed=1), drawn(shape, format, seed=2)
        rng = np.random.default_rng(3)
        dense = rng.normal(size=shape) * (rng.random(shape) < .5)
        row, column = rng.normal(size=shape[1]), rng.normal(size=shape[0])
        r = f(a, b, dense, row, column, 1.5)
        A, B = a.toarray(), b.toarray()
        has = np.zeros(shape, bool)
        has[a.nonzero()] = True
        want = {
            "dense": A, "csr": A, "csc": A, "csr of dense": dense, "csc of dense": dense, "T": A.T, "neg": -A, "add": A + B,
            "sub": A - B,
            "mul": A * B, "twice": 2 * A, "times": A * 1.5, "times dense": A * dense, "times vector": A * row,
            "plus dense": A + dense,
            "dense minus": dense - A, "row scale": A * column[:, None], "col scale": A * row, "sum": A.sum(), "sum 0": A.sum(0),
            "sum 1": A.sum(1), "hstack": np.hstack([A, B]), "vstack": np.vstack([A, B, A]), "ones": has * 1.0, "zeros": 0 * A,
            "int": A.astype("int32"), "add s v": np.where(has, A + row, 0), "eq": A == B, "gt": A > B, "le dense": A <= dense,
            "clean": 0 * A, "exp": np.where(has, np.exp(A), 0), "pow": A ** 2, "max": np.where(has, np.maximum(A, 0.1), 0),
            "tanh": np.tanh(A), "log1p": np.log1p(A * A)}
        for name, expected in want.items():
            same(r[name], expected)
        assert r["csr"].format == "csr" and r["csc"].format == "csc" and r["T"].format != format and r["add"].format == format
        assert r["clean"].nnz == 0 and r["csr of dense"].nnz == np.count_nonzero(dense) and r["int"].dtype == "int32"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_products(dtype, mode):
    for left, right in (("csr", "csr"), ("csc", "csc"), ("csr", "csc")):
        x, y = sparse.matrix(left, "x", dtype), sparse.matrix(right, "y", dtype)
        d, e, v, p = (T.TensorType(dtype, (None,) * n)(name) for n, name in ((2, "d"), (2, "e"), (1, "v"), (2, "p")))
        f = symbolic.function([x, y, d, e, v, p], [
            sparse.dot(x, d), sparse.dot(e, x), sparse.dot(x, v), sparse.true_dot(x, y), sparse.dot(x, y),
            sparse.structured_dot(x, y),
            sparse.usmm(2, x, d, p), sparse.sampling_dot(e, e, sparse.true_dot(e_pattern(x), e_pattern(x).T)), x @ y], mode=mode)
        for n, k, m in ((5, 4, 3), (1, 6, 2), (0, 2, 2), (3, 0, 2), (7, 7, 1)):
            rng = np.random.default_rng(n)
            a, b = drawn((n, k), left, dtype, 1), drawn((k, m), right, dtype, 2)
            dense, before, vector, plus = (np.round(3 * rng.normal(size=s)).astype(dtype) for s in ((k, m), (n, n), k, (n, m)))
            A, B = a.toarray(), b.toarray()
            r = f(a, b, dense, before, vector, plus)
            stored = np.zeros(a.shape, dtype)
            stored[a.tocoo().row, a.tocoo().col] = 1
            pattern = stored @ stored.T
            for got, want in zip(r, [A @ dense, before @ A, A @ vector, A @ B, A @ B, A @ B, 2 * (A @ dense) + plus,
                                     (before @ before.T) * pattern, A @ B], strict=True):
                same(got, want)
            assert r[3].format == left


def e_pattern(x):
    return sparse.sp_ones_like(x)


def test_indexing_and_diagonals():
    x, i, j = sparse.csr_dmatrix("x"), T.lscalar("i"), T.lscalar("j")
    c = sparse.csc_dmatrix("c")
    a = drawn((6, 5), seed=4)
    for mode in MODES:
        f = symbolic.function([x, c, i, j], [x[i, j], x[-1, 2], x[1:4, 2:], x[i:, :j], c[1:-1], x[i], x[[3, 0, -3]], c[[1, 1]],
                                             sparse.diag(x),
                                             sparse.square_diagonal(x.data)], mode=mode)
        A = a.toarray()
        r = f(a, a.tocsc(), 2, 3)
        for got, want in zip(r, [A[2, 3], A[-1, 2], A[1:4, 2:], A[2:, :3], A[1:-1], A[2:3], A[[3, 0, -3]], A[[1, 1]], np.diag(A),
                                 np.diag(a.data)], strict=True):
            same(got, want)
        with pytest.raises(IndexError, match="isn't between 0 and 6"):
            f(a, a.tocsc(), 6, 0)


def test_derivatives_have_the_structure_of_their_matrix():
    a, d = drawn((5, 4), seed=5), np.random.default_rng(6).normal(size=(4, 3))
    x, D = sparse.csr_dmatrix("x"), T.dmatrix("D")
    y = sparse.csc_dmatrix("y")
    b = drawn((5, 4), "csc", seed=7)
    costs = [(sparse.dot(x, D) ** 3).sum(), (sparse.mul(x, y).toarray() ** 2).sum() + sparse.sp_sum(x * x),
             T.sin(sparse.true_dot(x, sparse.transpose(y)).toarray()).sum(), (sparse.add(x, y).toarray() ** 3).sum(),
             (sparse.sampling_dot(D.T[:, :4], D.T[:, :4], x.T[:3, :3]).toarray() ** 2).sum() if False else (x.sum(0) ** 2).sum()]
    f = symbolic.function([x, y, D], [*costs, *(symbolic.grad(c, x, disconnected_inputs="ignore") for c in costs),
                                      symbolic.grad(costs[0], D)], on_unused_input="ignore")
    r = f(a, b, d)
    for k in range(len(costs)):
        g = r[len(costs) + k]
        assert ss.issparse(g) and g.format == "csr" and np.array_equal(g.indices, a.indices)
        for p in range(a.nnz):
            values = []
            for step in (1e-6, -1e-6):
                moved = a.copy()
                moved.data[p] += step
                values.append(f(moved, b, d)[k])
            assert g.data[p] == pytest.approx((values[0] - values[1]) / 2e-6, rel=2e-5, abs=1e-6)
    np.testing.assert_allclose(r[-1], a.T @ (3 * (a @ d) ** 2), rtol=1e-10)


def test_shared_matrices_and_givens():
    a, b = drawn((4, 3), seed=1), drawn((4, 3), seed=2)
    w = symbolic.shared(a, "w")
    y = sparse.csr_dmatrix("y")
    step = symbolic.function([y], sparse.sp_sum(w), updates=[(w, sparse.add(w, y))])
    assert step(b) == pytest.approx(a.sum())
    same(w.get_value(), a + b, "csr")
    w.set_value(b)
    same(symbolic.function([], w * 2)(), 2 * b)
    with pytest.raises(errors.ConversionError, match="format 'csc'"):
        w.set_value(b.tocsc())
    same(w.get_value(), b)
    same(symbolic.function([], sparse.neg(y), givens={y: w})(), -b)
    named = symbolic.function([symbolic.In(y, value=a), symbolic.In(T.dscalar("k"), value=2.0)], {"s": y, "t": y.sum()},
                              on_unused_input="ignore")
    same(named()["s"], a)
    same(named(y=b)["s"], b)
    assert named(b)["t"] == pytest.approx(b.sum())


def test_what_is_wrong_is_said():
    x, d, v = sparse.csr_dmatrix("x"), T.dmatrix("d"), T.dvector("v")
    f = symbolic.function([x, d], sparse.dot(x, d), name="product")
    for value, error, text in ((np.ones((2, 2)), errors.ConversionError,
                                r"input 0, x: expected Sparse\(csr, float64\), got ndarray"),
                               (drawn((2, 2), "csc"), errors.ConversionError, r"format 'csc'(.|\n)*tocsr"),
                               (drawn((2, 2)).astype("complex128"), errors.DTypeError, "complex")):
        with pytest.raises(error, match=text):
            f(value, np.ones((2, 2)))
    with pytest.raises(ValueError, match="inner extents 3 and 4 differ"):
        f(drawn((2, 3)), np.ones((4, 2)))
    with pytest.raises(ValueError, match="inner extents 3 and 2 differ"):
        f(drawn((2, 3), density=1.0), np.ones((2, 2)))
    y = sparse.csr_dmatrix("y")
    with pytest.raises(ValueError, match="extents 2 and 3 differ"):
        symbolic.function([x, y], x + y)(drawn((2, 3)), drawn((3, 3)))
    with pytest.raises(errors.GraphError, match="one of the operands must be sparse"):
        sparse.dot(d, d)
    with pytest.raises(errors.GraphError, match="takes a matrix beside it(.|\n)*structured_add"):
        x + 1
    with pytest.raises(errors.ConversionError, match="csr_from_dense"):
        sparse.transpose(d)
    with pytest.raises(errors.UnusedInputError, match="input y"):
        symbolic.function([x, y], x.sum())
    with pytest.raises(errors.UpdateError, match="isn't sparse"):
        symbolic.function([d], [], updates=[(symbolic.shared(drawn((2, 2))), d)])
    with pytest.raises(errors.NotSupported, match="step 1"):
        x[::2, :]
    with pytest.raises(TypeError, match="no input 'z'"):
        f(drawn((2, 2)), np.ones((2, 2)), z=1)
    assert sparse.sparse_grad(v[T.ivector()]).ndim == 1
    with pytest.raises(errors.GraphError, match="indexed array"):
        sparse.sparse_grad(v * 2)


@pytest.mark.parametrize("mode", MODES)
def test_parts_that_make_no_matrix(mode):
    data, indices, indptr, v = T.dvector("data"), T.ivector("indices"), T.ivector("indptr"), T.dvector("v")
    f = symbolic.function([data, indices, indptr, v], [sparse.dot(sparse.CSR(data, indices, indptr, (2, 3)), v),
                                                       sparse.dot(sparse.CSC(data, indices, indptr, (3, 2)), v[:2])], mode=mode)
    one, three = np.ones(2), np.ones(3)
    np.testing.assert_array_equal(f(one, [0, 2], [0, 1, 2], three)[1], [1, 0, 1])
    for where, starts, error, text in (([0, 3], [0, 1, 2], IndexError, "index 3 of an element"),
                                       ([0, -1], [0, 1, 2], IndexError, "index -1"),
                                       ([0, 1], [0, 2, 1], ValueError, "index pointer 2 of the sparse matrix is 1"),
                                       ([0, 1], [0, 1, 3], ValueError, "pointer 2 .* is 3: .* elements, 2"),
                                       ([0, 1], [-1, 1, 2], ValueError, "pointer 0 .* is -1")):
        with pytest.raises(error, match=text):
            f(one, where, starts, three)


def test_doubles_in_an_argument_are_added_up():
    x = sparse.csr_dmatrix("x")
    given = ss.csr_matrix((np.array([1.0, 2.0, 4.0]), np.array([1, 0, 1]), np.array([0, 3])), shape=(1, 2))
    np.testing.assert_array_equal(symbolic.function([x], sparse.structured_pow(x, 2.0).toarray())(given), [[4.0, 25.0]])
    assert given.nnz == 3


def test_names_of_theanos():
    for name in ("csc_matrix csr_matrix matrix as_sparse_variable as_sparse_or_tensor_variable dense_from_sparse csr_from_dense "
                 "csc_from_dense CSR CSC csm_properties csm_data csm_indices csm_indptr csm_shape dot true_dot structured_dot "
                 "sampling_dot "
                 "usmm add sub mul eq neq lt gt le ge row_scale col_scale sp_sum diag square_diagonal hstack vstack "
                 "ensure_sorted_indices "
                 "remove0 clean structured_sigmoid structured_exp structured_log structured_pow structured_minimum "
                 "structured_maximum "
                 "structured_add cast transpose shared fcast dcast icast csr_fmatrix csc_dmatrix SparseType").split():
        assert callable(getattr(sparse, name)), name


def test_gradients_of_computed_and_shared_matrices():
    """They have the structure of the matrix; the gradient in an input goes through them."""
    a, b = drawn((4, 3)), np.arange(1.0, 4.0)
    x, v = sparse.csr_matrix("x"), T.dvector("v")
    w = symbolic.shared(a.tocsc(), "w")
    y = sparse.col_scale(x, v)
    cost = T.sum(sparse.dot(y, v) ** 2)
    outs = [symbolic.grad(cost, y), *symbolic.grad(cost, [x, v]), symbolic.grad(T.sum(sparse.dot(w, v) ** 3), w)]
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        by_y, by_x, by_v, by_w = symbolic.function([x, v], outs, mode=mode)(a, b)
        dense, where = a.toarray(), a.toarray() != 0
        scaled = dense * b
        np.testing.assert_allclose(by_y.toarray(), where * np.outer(2 * scaled @ b, b))
        np.testing.assert_allclose(by_x.toarray(), where * np.outer(2 * scaled @ b, b * b))
        np.testing.assert_allclose(by_v, 2 * scaled.T @ (scaled @ b) + (2 * np.outer(scaled @ b, b) * dense).sum(0))
        np.testing.assert_allclose(by_w.toarray(), where * np.outer(3 * (dense @ b) ** 2, b))
        assert by_w.format == "csc" and by_y.format == "csr"


@pytest.mark.parametrize("mode", MODES)
def test_parts_that_make_no_matrix_are_told(mode):
    data, indices, indptr = T.dvector("data"), T.ivector("indices"), T.ivector("indptr")
    x = sparse.CSR(data, indices, indptr, np.array([2, 3]))
    y = sparse.csr_dmatrix("y")
    make = {"add": lambda x: x + y, "mul": lambda x: x * y, "product": lambda x: sparse.true_dot(x, y.T),
            "csc": lambda x: x.tocsc(), "dense": lambda x: sparse.dot(x, np.eye(3))}
    other = ss.csr_matrix(np.array([[1.0, 0, 2], [0, 3, 0]]))
    good = np.array([1.0, 2, 3]), np.array([2, 0, 1], "int32"), np.array([0, 2, 3], "int32")
    dense = np.array([[2.0, 0, 1], [0, 3, 0]])
    wanted = {"add": dense + other.toarray(), "mul": dense * other.toarray(), "product": dense @ other.toarray().T,
              "csc": dense, "dense": dense}
    for name, of in make.items():
        f = symbolic.function([data, indices, indptr, y], of(x), mode=mode, on_unused_input="ignore")
        ordered = symbolic.function([data, indices, indptr, y], of(sparse.ensure_sorted_indices(x)), mode=mode,
                                    on_unused_input="ignore")
        if name in ("add", "mul"):
            with pytest.raises(errors.GraphError, match="row or column 0 of the sparse matrix don't rise"):
                f(*good, other)
        else:
            same(f(*good, other), wanted[name])
        same(ordered(*good, other), wanted[name])
        for at, starts, error, text in (
                ([0, 3, 1], [0, 2, 3], errors.IndexOutOfBounds, "index 3 of an element .* isn't between 0 and 3"),
                ([0, -1, 1], [0, 2, 3], errors.IndexOutOfBounds, "index -1 of an element .* isn't between 0 and 3"),
                ([0, 2, 1], [0, 4, 3], errors.ShapeError, "index pointer 1 of the sparse matrix is 4: .* number of elements, 3"),
                ([0, 2, 1], [0, 3, 2], errors.ShapeError, "index pointer 2 of the sparse matrix is 2"),
                ([0, 2, 1], [0, 2, 2], errors.ShapeError, "index pointer 2 of the sparse matrix is 2: .* number of elements, 3"),
                ([0, 2, 1], [1, 2, 3], errors.ShapeError, "index pointer 0 of the sparse matrix is 1"),
                ([0, 2, 1], [], errors.ShapeError, "one more than its rows .* got 0")):
            with pytest.raises(error, match=text):
                f(good[0], np.array(at, "int32"), np.array(starts, "int32"), other)
        if name in ("product", "dense"):
            with pytest.raises(errors.ShapeError, match="a sparse matrix has 2 elements, but 3 indices"):
                f(good[0][:2], good[1], good[2], other)
        if name in ("add", "mul"):
            with pytest.raises(errors.ShapeError, match="extents 3 and 2 differ"):
                f(good[0], good[1], np.array([0, 1, 2, 3], "int32"), other)


@pytest.mark.parametrize("mode", MODES)
def test_second_derivatives_of_a_sparse_product(mode):
    a, b = T.dvector("a"), T.dvector("b")
    A, B = drawn((5, 4), seed=1), drawn((4, 6), seed=2)
    x = sparse.CSR(a, A.indices, A.indptr, np.array([5, 4]))
    y = sparse.CSR(b, B.indices, B.indptr, np.array([4, 6]))
    loss = T.sum(T.sqr(sparse.true_dot(x, y).data))
    ga, gb = T.grad(loss, [a, b])
    f = symbolic.function([a, b], [loss, ga, gb, *T.grad(T.sum(ga * T.sin(a)) + T.sum(gb * b), [a, b])], mode=mode)

    rows, columns = (np.repeat(np.arange(m.shape[0]), np.diff(m.indptr)) for m in (A, B))
    dense_a = T.set_subtensor(T.zeros((5, 4))[rows, A.indices], a)
    dense_b = T.set_subtensor(T.zeros((4, 6))[columns, B.indices], b)
    wanted = T.sum(T.sqr(T.dot(dense_a, dense_b)))
    wa, wb = T.grad(wanted, [a, b])
    g = symbolic.function([a, b], [wanted, wa, wb, *T.grad(T.sum(wa * T.sin(a)) + T.sum(wb * b), [a, b])], mode="FAST_COMPILE")
    for got, want in zip(f(A.data, B.data), g(A.data, B.data), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


def test_a_row_that_is_not_there():
    x, rows = sparse.csr_dmatrix("x"), T.lvector("rows")
    for mode in MODES:
        f = symbolic.function([x, rows], x[rows], mode=mode)
        with pytest.raises(IndexError, match="getitem: index.* 6 "):
            f(drawn((6, 5)), [0, 6])


@pytest.mark.slow
def test_more_elements_than_positions_are_told():
    """2,500,000,000 of them, counted and never stored."""
    x, y = sparse.csr_dmatrix("x"), sparse.csr_dmatrix("y")
    column = ss.csr_matrix(np.ones((50_000, 1)))
    with pytest.raises(errors.NotSupported, match="the result has 2500000000 elements"):
        symbolic.function([x, y], sparse.true_dot(x, y))(column, column.T.tocsr())
