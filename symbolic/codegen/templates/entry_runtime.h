/* What a running program may ask for: the functions behind runtime.h, and the state of one call. */

/* Work, in scalar operations: some 10 us, well above the cost of switching. */
enum { RELEASE_GIL_FROM = 20000 };
enum { STACK_ARRAYS = 32 };

typedef union {
    double real;
    int64_t integer;
} number;

typedef struct {
    symbolic_runtime rt; /* first: the program's handle is the call itself */
    Callable *self;
    PyThreadState *released; /* set while the GIL is released */
    int failed;              /* a request of the program failed and left an error set */
    int n_owned;
    int alone;             /* threads for products, while BLAS uses but one; 0: it does as it likes */
    size_t spare_bytes;    /* of spares that this call took from storages */
    symbolic_array *table; /* inputs, shared, constants */
    PyArrayObject **slots; /* outputs, then updates; NULL until the program asks for them */
    PyObject **owned;      /* converted values, copies of storages: at most 2 for each array */
    number *numbers;       /* Python numbers among the inputs */
    arena scratch;
    holder held;
} call;

/* OpenMP's threads don't come along with a fork, and the child would wait for them for ever: there programs use one. */
static int forked;

static void after_fork_in_child(void)
{
    forked = 1;
    storages_after_fork();
    blas_after_fork();
}

static int gil_take(call *c)
{
    if (!c->released)
        return 0;
    PyEval_RestoreThread(c->released);
    c->released = NULL;
    return 1;
}

static void gil_give_back(call *c, int taken)
{
    if (taken)
        c->released = PyEval_SaveThread();
}

static void rt_begin(symbolic_runtime *rt, double work)
{
    call *c = (call *)rt;
    if (work >= RELEASE_GIL_FROM && !c->released)
        c->released = PyEval_SaveThread();
}

static int rt_product_threads(symbolic_runtime *rt)
{
    call *c = (call *)rt;
    if (!c->alone) /* with one thread as well: BLAS isn't to use more */
        c->alone = blas_claim(rt->threads);
    return c->alone ? c->alone : 1;
}

static void *rt_scratch(symbolic_runtime *rt, double bytes)
{
    if (!(bytes >= 0 && bytes < 0x1p62))
        return NULL;
    call *c = (call *)rt;
    return arena_take(&c->scratch, (int64_t)bytes, c->self->scratch_hint);
}

static symbolic_mark rt_mark(symbolic_runtime *rt)
{
    return arena_mark(&((call *)rt)->scratch);
}

static void rt_release(symbolic_runtime *rt, symbolic_mark to)
{
    arena_rewind(&((call *)rt)->scratch, to);
}

static int same_shape(PyArrayObject *array, const int64_t *shape)
{
    for (int i = 0; i < PyArray_NDIM(array); i++)
        if (PyArray_DIM(array, i) != shape[i])
            return 0;
    return 1;
}

/* An array that update `slot` may write to without allocating, if there is one. Needs no GIL: the
 * storage is locked for writing, and none but its lock's owner touches its spare. */
static PyArrayObject *reuse_for_update(call *c, int slot, const int64_t *shape)
{
    const update *at = &c->self->updates[slot - c->self->n_outputs];
    Storage *storage = c->self->storages[at->shared];
    if (c->slots[slot])
        return same_shape(c->slots[slot], shape) ? c->slots[slot] : NULL;
    if (at->inplace)
        return same_shape(storage->value, shape) ? storage->value : NULL;
    PyArrayObject *spare = storage->spare;
    if (!spare || PyArray_NDIM(spare) != c->self->slot_ndims[slot] || !same_shape(spare, shape)
        || PyArray_DESCR(spare) != c->self->slot_types[slot])
        return NULL;
    storage->spare = NULL;
    c->spare_bytes += (size_t)PyArray_NBYTES(spare);
    c->slots[slot] = spare;
    return spare;
}

/* NumPy says ValueError for shapes beyond the address space; to us that is plainly no memory. */
static void no_memory_for(int slot, int ndim, const int64_t *shape)
{
    if (PyErr_ExceptionMatches(PyExc_MemoryError))
        return;
    for (int i = 0; i < ndim; i++)
        if (shape[i] < 0)
            return;
    PyErr_Clear();
    PyObject *dims = PyTuple_New(ndim);
    for (int i = 0; dims && i < ndim; i++)
        PyTuple_SET_ITEM(dims, i, PyLong_FromLongLong(shape[i]));
    if (dims)
        PyErr_Format(PyExc_MemoryError, "no memory for output %d of shape %R", slot, dims);
    Py_XDECREF(dims);
}

static void *rt_output(symbolic_runtime *rt, int slot, const int64_t *shape)
{
    call *c = (call *)rt;
    Callable *self = c->self;
    if (slot < 0 || slot >= self->n_outputs + self->n_updates)
        return NULL;
    if (slot >= self->n_outputs) {
        PyArrayObject *known = reuse_for_update(c, slot, shape);
        if (known)
            return PyArray_DATA(known);
    }
    int taken = gil_take(c), ndim = self->slot_ndims[slot];
    PyObject *array = output_array(self->slot_types[slot], ndim, shape);
    if (!array) {
        no_memory_for(slot, ndim, shape);
        c->failed = 1;
    }
    Py_XSETREF(c->slots[slot], (PyArrayObject *)array);
    void *data = array ? PyArray_DATA((PyArrayObject *)array) : NULL;
    gil_give_back(c, taken);
    return data;
}

/* ---- opaque Python steps ---- */

/* The inputs of a step as read-only arrays. Copies, because a step may keep what it was given, and
 * the memory behind a program's intermediate values is used again. */
static PyObject *step_arguments(const step_type *step, const symbolic_array *inputs)
{
    PyObject *args = PyTuple_New(step->n_inputs);
    for (int i = 0; args && i < step->n_inputs; i++) {
        PyArrayObject *array = (PyArrayObject *)PyArray_SimpleNew(
            step->inputs[i].ndim, (const npy_intp *)inputs[i].shape, step->inputs[i].type);
        if (!array) {
            Py_CLEAR(args);
            break;
        }
        memcpy(PyArray_DATA(array), inputs[i].data, (size_t)PyArray_NBYTES(array));
        PyArray_CLEARFLAGS(array, NPY_ARRAY_WRITEABLE);
        PyTuple_SET_ITEM(args, i, (PyObject *)array);
    }
    return args;
}

/* Result `i` as a contiguous array of the promised type: a new reference. */
static PyObject *step_result(PyObject *value, int i, const array_type *type)
{
    PyObject *array = NULL;
    if (fits(value, type))
        return Py_NewRef(value);
    if (PyArray_Check(value) || PyArray_CheckScalar(value)) {
        enum {
            FLAGS = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED | NPY_ARRAY_NOTSWAPPED
            | NPY_ARRAY_ENSUREARRAY
        };
        array = PyArray_FromAny(value, NULL, 0, 0, FLAGS, NULL);
        if (!array || fits(array, type))
            return array;
    }
    refuse("result of a Python step", i, type, array ? array : value);
    Py_XDECREF(array);
    return NULL;
}

/* The step returned another shape than it said: let it explain itself, if it can. */
static void wrong_shape(PyObject *function, int i, PyArrayObject *array, const int64_t *shape)
{
    int ndim = PyArray_NDIM(array);
    PyObject *got = PyTuple_New(ndim), *want = PyTuple_New(ndim), *error = NULL;
    for (int a = 0; got && want && a < ndim; a++) {
        PyTuple_SET_ITEM(got, a, PyLong_FromLongLong((long long)PyArray_DIM(array, a)));
        PyTuple_SET_ITEM(want, a, PyLong_FromLongLong((long long)shape[a]));
    }
    if (got && want && !PyErr_Occurred()) {
        if (PyObject_HasAttrString(function, "mismatch"))
            error = PyObject_CallMethod(function, "mismatch", "iOO", i, got, want);
        else
            PyErr_Format(PyExc_ValueError, "result of a Python step %d: expected shape %R, got %R", i, want, got);
    }
    if (error)
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(error);
    Py_XDECREF(got);
    Py_XDECREF(want);
}

/* Copy a result to where the program wants it: a step may keep what it returned, and change it. */
static int step_store(call *c, PyObject *function, int i, PyArrayObject *array, symbolic_result *out)
{
    for (int a = 0; a < PyArray_NDIM(array); a++)
        if (out->shape[a] >= 0 && out->shape[a] != PyArray_DIM(array, a)) {
            wrong_shape(function, i, array, out->shape);
            return -1;
        }
    for (int a = 0; a < PyArray_NDIM(array); a++)
        out->shape[a] = PyArray_DIM(array, a);
    if (!out->wanted)
        return 0;
    size_t bytes = (size_t)PyArray_NBYTES(array);
    if (!out->data && !(out->data = rt_scratch(&c->rt, (double)bytes))) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(out->data, PyArray_DATA(array), bytes);
    return 0;
}

static int step_results(call *c, int index, PyObject *returned, symbolic_result *results)
{
    const step_type *step = &c->self->steps[index];
    PyObject *sequence = PyTuple_Check(returned) || PyList_Check(returned)
                             ? PySequence_Tuple(returned)
                             : PyTuple_Pack(1, returned); /* one bare value */
    if (!sequence)
        return -1;
    int status = 0;
    if (PyTuple_GET_SIZE(sequence) != step->n_outputs) {
        PyErr_Format(PyExc_TypeError, "a Python step returned %zd values instead of %d",
                     PyTuple_GET_SIZE(sequence), step->n_outputs);
        status = -1;
    }
    for (int i = 0; status == 0 && i < step->n_outputs; i++) {
        PyObject *array = step_result(PyTuple_GET_ITEM(sequence, i), i, &step->outputs[i]);
        status = array ? step_store(c, PyTuple_GET_ITEM(c->self->python_calls, index), i,
                                    (PyArrayObject *)array, &results[i])
                       : -1;
        Py_XDECREF(array);
    }
    Py_DECREF(sequence);
    return status;
}

static int rt_python(symbolic_runtime *rt, int index, const symbolic_array *inputs,
                     symbolic_result *results)
{
    call *c = (call *)rt;
    if (index < 0 || index >= c->self->n_steps)
        return -1;
    const step_type *step = &c->self->steps[index];
    if (c->alone) /* the step may multiply itself */
        blas_release();
    c->alone = 0;
    int taken = gil_take(c), status = -1;
    PyObject *args = NULL, *returned = NULL;
    if ((args = step_arguments(step, inputs))
        && (returned = PyObject_Call(PyTuple_GET_ITEM(c->self->python_calls, index), args, NULL)))
        status = step_results(c, index, returned, results);
    Py_XDECREF(args);
    Py_XDECREF(returned);
    if (status < 0)
        c->failed = 1;
    gil_give_back(c, taken);
    return status;
}
