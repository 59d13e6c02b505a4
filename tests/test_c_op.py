"""Ops of C code: Theano's `c_code`, external files with sections, and C functions that are part of the program."""
from __future__ import annotations

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic import Apply, Op, errors
from symbolic.codegen.c_extension import compiler_command, extension_text
from symbolic.ops.c_op import COp, OpenMPOp, sections
from symbolic.scalar import dim
from symbolic.template import Template

pytestmark = pytest.mark.skipif(compiler_command() is None, reason="no compiler")
x = T.dvector("x")

SCALE = """
    Py_XDECREF(%(z)s);
    %(z)s = (PyArrayObject *)PyArray_EMPTY(PyArray_NDIM(%(x)s), PyArray_DIMS(%(x)s), PyArray_TYPE(%(x)s), 0);
    if (!%(z)s) %(fail)s
    PyArrayObject *c = (PyArrayObject *)PyArray_GETCONTIGUOUS(%(x)s);
    for (npy_intp i = 0; i < PyArray_SIZE(c); i++)
        ((dtype_%(z)s *)PyArray_DATA(%(z)s))[i] = (dtype_%(z)s)(factor() * ((dtype_%(x)s *)PyArray_DATA(c))[i]);
    Py_DECREF(c);
"""


class Scale(Op):
    __props__ = ("by",)

    def __init__(self, by):
        self.by = by

    def make_node(self, x):
        x = T.as_tensor_variable(x)
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = np.asarray(inputs[0] * self.by, node.outputs[0].dtype)

    def infer_shape(self, node, shapes):
        return shapes

    def grad(self, inputs, output_grads):
        return [self.by * output_grads[0]]

    def c_support_code(self):
        return f"static double factor(void) {{ return {self.by}; }}"

    def c_code(self, node, name, inputs, outputs, sub):
        return SCALE % {"x": inputs[0], "z": outputs[0], "fail": sub["fail"]}

    def c_code_cache_version(self):
        return (1,)


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE", "CHECK"])
def test_c_code_in_programs_loops_and_derivatives(mode):
    m = T.fmatrix("m")
    loop, _ = symbolic.scan(lambda row: Scale(3)(row) + 1, sequences=m)
    f = symbolic.function([m], [T.exp(Scale(2)(m.T)), loop, T.grad(Scale(2)(m).sum(), m)], mode=mode)
    for a in (np.arange(6, dtype="float32").reshape(2, 3), np.ones((0, 3), "float32"), np.ones((4, 4), "float32")[::2, ::-1]):
        e, r, g = f(a)
        np.testing.assert_allclose(e, np.exp(2 * a.T), rtol=1e-5)
        np.testing.assert_allclose(r, 3 * a + 1)
        assert (g == 2).all() and g.shape == a.shape


@pytest.mark.parametrize("dtype", ["int8", "int64", "float64", "complex128"])
def test_dtypes(dtype):
    if dtype == "complex128":
        pytest.skip("a C struct, which isn't multiplied by *, in C++")
    v = T.tensor(dtype, (None,))
    np.testing.assert_array_equal(symbolic.function([v], Scale(2)(v), mode="CHECK")(np.arange(4, dtype=dtype)), 2 * np.arange(4))


class CountCalls(COp):
    """Adds how often it was called, which it keeps in its struct."""

    __props__ = ()
    itypes, otypes = [T.dvector], [T.dvector]
    op_params = [("STEP", 10)]


def write(tmp_path, text):
    file = tmp_path / "code.c"
    file.write_text(text)
    return str(file)


def test_external_files(tmp_path):
    op = CountCalls(write(tmp_path, """
#section support_code_struct
static double *APPLY_SPECIFIC(calls);
#section init_code_struct
APPLY_SPECIFIC(calls) = (double *)calloc(1, sizeof(double));
if (!APPLY_SPECIFIC(calls)) { PyErr_NoMemory(); FAIL }
#section cleanup_code_struct
free(APPLY_SPECIFIC(calls));
#section code
OUTPUT_0 = (PyArrayObject *)PyArray_NewCopy(INPUT_0, NPY_CORDER);
if (!OUTPUT_0) FAIL
for (npy_intp i = 0; i < PyArray_SIZE(OUTPUT_0); i++)
    ((DTYPE_OUTPUT_0 *)PyArray_DATA(OUTPUT_0))[i] += *APPLY_SPECIFIC(calls);
*APPLY_SPECIFIC(calls) += STEP;
"""))
    f = symbolic.function([x], op(x))
    assert [f([1.0])[0] for _ in range(3)] == [1, 11, 21]


def test_functions_of_external_files_and_failures(tmp_path):
    path = write(tmp_path, """/* a comment in front */
#section support_code_apply
static int APPLY_SPECIFIC(total)(PyArrayObject *in, PyArrayObject **out)
{
    if (PyArray_SIZE(in) == 0) { PyErr_SetString(PyExc_ValueError, "an empty vector"); return 1; }
    if (PyArray_SIZE(in) == 1) return 1;
    *out = (PyArrayObject *)PyArray_ZEROS(0, NULL, TYPENUM_OUTPUT_0, 0);
    for (npy_intp i = 0; i < PyArray_SIZE(in); i++)
        *(DTYPE_OUTPUT_0 *)PyArray_DATA(*out) += *(DTYPE_INPUT_0 *)PyArray_GETPTR1(in, i);
    return 0;
}
""")

    class Total(COp):
        __props__ = ()
        itypes, otypes = [T.dvector], [T.dscalar]

        def __init__(self):
            super().__init__(path, "APPLY_SPECIFIC(total)")

    f = symbolic.function([x], Total()(x) * 2)
    assert f([1.0, 2.0]) == 6 and f(np.arange(8.0)[::2]) == 24
    with pytest.raises(ValueError, match="an empty vector") as caught:
        f([])
    assert "test_c_op.py" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match="without saying why"):
        f([1.0])


@pytest.mark.parametrize(("text", "message"), [
    ("int f;", "must stand in sections"), ("#section nothing\n", "no section 'nothing'"),
    ("#section support_code\n", "no section 'code'"),
])
def test_wrong_files(tmp_path, text, message):
    with pytest.raises(errors.GraphError, match=message):
        CountCalls(write(tmp_path, text))
    with pytest.raises(errors.GraphError, match="can't read"):
        CountCalls(str(tmp_path / "missing.c"))
    with pytest.raises(errors.GraphError, match="exclude each other"):
        CountCalls(write(tmp_path, "#section code\n"), "f")
    assert sections("// c\n#section code\na\n#section code\nb\n") == {"code": "a\nb\n"}


def test_code_that_does_not_compile_or_sets_nothing():
    class Broken(Scale):
        def c_code(self, node, name, inputs, outputs, sub):
            return "nonsense;"

    class Lazy(Scale):
        def c_code(self, node, name, inputs, outputs, sub):
            return ""

    with pytest.raises(errors.CompileError, match=r"(?s)broken: its C code doesn't compile.*nonsense.*x \(float64.*test_c_op"):
        symbolic.function([x], Broken(2)(x))
    np.testing.assert_array_equal(symbolic.function([x], Broken(2)(x), mode="FAST_COMPILE")([1.0]), [2])
    with pytest.raises(RuntimeError, match="output 0 was not set"):
        symbolic.function([x], Lazy(2)(x))([1.0])


def test_options(tmp_path):
    (tmp_path / "mine.h").write_text("#define MINE 7\n")

    class Options(Scale):
        def c_headers(self):
            return ["mine.h", "<limits.h>"]

        def c_header_dirs(self):
            return [str(tmp_path)]

        def c_compile_args(self):
            return ["-DOTHER=2", "-DMINE=1"]

        def c_no_compile_args(self):
            return ["-DMINE=1"]

        def c_libraries(self):
            return ["m"]

        def c_support_code(self):
            return "static double factor(void) { return MINE + OTHER; }"

    assert symbolic.function([x], Options(9)(x), mode="CHECK")([1.0]) == [9]

    class Parallel(OpenMPOp):
        pass

    assert Parallel(openmp=False).c_headers() == [] and Parallel().c_compile_args() == ["-fopenmp"]
    text = extension_text(Scale(2)(x).owner)
    assert "typedef npy_float64 dtype_V1;" in text and "PyInit_c_op" in text


def test_c_alone_needs_a_compiler(monkeypatch):
    class Alone(Op):
        __props__ = ()
        itypes, otypes = [T.dvector], [T.dvector]

        def c_support_code(self):
            return "static double factor(void) { return 5; }"

        c_code = Scale.c_code

    y = Alone()(x)
    assert symbolic.function([x], y, mode="FAST_COMPILE")([1.0]) == [5]
    monkeypatch.setattr("symbolic.codegen.c_extension.compiler_command", lambda: None)
    with pytest.raises(errors.NotSupported, match=r"C code alone, and there is no compiler(?s:.*)hint: install"):
        symbolic.function([x], y, mode="FAST_COMPILE")([1.0])


class Cube(Op):
    """A C function that is part of the program: it may fail, and knows nothing of Python."""

    __props__ = ()

    def infer_type(self, x):
        return (x,)

    def infer_shape(self, x):
        return ((dim(0, 0),),)

    def reference(self, x):
        if (x < 0).any():
            raise errors.ParameterError(f"{x[x < 0][0]:.0f} is negative")
        return (x ** 3,)

    def template(self, x):
        return Template("cube", (("type", {"float32": "float", "float64": "double"}[x.dtype]),), (
            (errors.ParameterError, "{0} is negative"),), text="""
static int {{ function }}(symbolic_runtime *rt, const symbolic_array *in, void *const *out)
{
    const {{ type }} *x = ({{ type }} *)in[0].data;
    {{ type }} *y = ({{ type }} *)out[0];
    for (int64_t i = 0; i < in[0].shape[0]; i++) {
        if (x[i] < 0) {
            rt->detail[0] = (int64_t)x[i];
            return 1;
        }
        y[i] = x[i] * x[i] * x[i];
    }
    return 0;
}""")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_c_in_the_program_itself(dtype):
    v = T.tensor(dtype, (None,), "v")
    loop, _ = symbolic.scan(lambda e: Cube()(e + v), sequences=v)
    f = symbolic.function([v], [T.sqrt(Cube()(v * 2)), loop], mode="CHECK")
    a = np.arange(3, dtype=dtype)
    roots, rows = f(a)
    np.testing.assert_allclose(roots, np.sqrt((2 * a) ** 3), rtol=1e-6)
    np.testing.assert_allclose(rows, (a[:, None] + a) ** 3, rtol=1e-6)
    assert f.source.count("cube_1(symbolic_runtime") == 1 and "Python.h" not in f.source
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        with pytest.raises(errors.ParameterError, match=r"cube: -4 is negative, .*test_c_op"):
            symbolic.function([v], Cube()(v), mode=mode)(np.array([1, -4], dtype))
