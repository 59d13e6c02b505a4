/* One call of a compiled function: check arguments, lock storages, run, commit, clean up. */

enum {
    RELEASE_GIL_FROM = 20000
}; /* work, in scalar operations: some 10 us, well above the cost of switching */
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
    size_t spare_bytes;    /* of spares that this call took from storages */
    symbolic_array *table; /* inputs, shared, constants */
    PyArrayObject **slots; /* outputs, then updates; NULL until the program asks for them */
    PyObject *
        *owned; /* converted arguments and storages, copies of storages: 2 for each array at most */
    number *numbers; /* Python numbers among the inputs */
    PyObject *kept;  /* list of what Python steps returned */
    arena scratch;
    holder held;
} call;

/* ---- what a program may ask for ---- */

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

static void *rt_scratch(symbolic_runtime *rt, int64_t bytes)
{
    call *c = (call *)rt;
    return arena_take(&c->scratch, bytes, c->self->scratch_hint);
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
    Py_INCREF(self->slot_types[slot]);
    PyObject *array = PyArray_NewFromDescr(&PyArray_Type, self->slot_types[slot], ndim,
                                           (const npy_intp *)shape, NULL, NULL, 0, NULL);
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

static int step_results(call *c, const step_type *step, PyObject *returned, symbolic_array *outputs)
{
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
        if (!array || PyList_Append(c->kept, array) < 0) {
            status = -1;
        } else {
            PyArrayObject *at = (PyArrayObject *)array;
            outputs[i] = (symbolic_array){PyArray_DATA(at), (const int64_t *)PyArray_DIMS(at)};
        }
        Py_XDECREF(array);
    }
    Py_DECREF(sequence);
    return status;
}

static int rt_python(symbolic_runtime *rt, int index, const symbolic_array *inputs,
                     symbolic_array *outputs)
{
    call *c = (call *)rt;
    if (index < 0 || index >= c->self->n_steps)
        return -1;
    const step_type *step = &c->self->steps[index];
    int taken = gil_take(c), status = -1;
    PyObject *args = NULL, *returned = NULL;
    if ((c->kept || (c->kept = PyList_New(0))) && (args = step_arguments(step, inputs))
        && (returned = PyObject_Call(PyTuple_GET_ITEM(c->self->python_calls, index), args, NULL)))
        status = step_results(c, step, returned, outputs);
    Py_XDECREF(args);
    Py_XDECREF(returned);
    if (status < 0)
        c->failed = 1;
    gil_give_back(c, taken);
    return status;
}

/* ---- before the run ---- */

static inline void enter(call *c, int i, PyObject *array)
{
    c->table[i].data = PyArray_DATA((PyArrayObject *)array);
    c->table[i].shape = (const int64_t *)PyArray_DIMS((PyArrayObject *)array);
}

/* A Python float or int that stands for a scalar: no array at all. 0 if it is something else. */
static int enter_number(call *c, int i, PyObject *value, const array_type *type)
{
    if (type->ndim)
        return 0;
    if (PyFloat_CheckExact(value) && type->type == NPY_DOUBLE) {
        c->numbers[i].real = PyFloat_AS_DOUBLE(value);
    } else if (PyLong_CheckExact(value) && (type->type == NPY_INT64 || type->twin == NPY_INT64)) {
        int overflow;
        c->numbers[i].integer = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (overflow)
            return 0;
    } else {
        return 0;
    }
    c->table[i] = (symbolic_array){&c->numbers[i], NULL};
    return 1;
}

/* Let Python make an array that fits, for input or (after the inputs) storage `i`. */
static PyObject *convert(call *c, int i, PyObject *value)
{
    Callable *self = c->self;
    const array_type *type = &self->array_types[i];
    const char *what = i < self->n_inputs ? "argument" : "shared variable";
    int number = i < self->n_inputs ? i : i - self->n_inputs;
    if (self->convert == Py_None) {
        refuse(what, number, type, value);
        return NULL;
    }
    PyObject *function = Py_NewRef(self->convert), *index = PyLong_FromLong(i), *array = NULL;
    if (index)
        array = PyObject_CallFunctionObjArgs(function, index, value, NULL);
    Py_XDECREF(index);
    Py_DECREF(function);
    if (array && !fits(array, type)) {
        refuse(what, number, type, array);
        Py_CLEAR(array);
    }
    if (array)
        c->owned[c->n_owned++] = array;
    return array;
}

static inline int read_arguments(call *c, PyObject *const *args)
{
    Callable *self = c->self;
    for (int i = 0; i < self->n_inputs; i++) {
        PyObject *value = args[i];
        if (!fits(value, &self->array_types[i])) {
            if (enter_number(c, i, value, &self->array_types[i]))
                continue;
            if (!(value = convert(c, i, value)))
                return -1;
        }
        enter(c, i, value);
    }
    return 0;
}

/* Enter the storages, now locked. A value to be updated in place that others can see (a user who
 * borrowed it, an argument of this very call) is copied first, so an array that was handed out
 * never changes under its holder. */
static int read_storages(call *c)
{
    Callable *self = c->self;
    for (int i = 0; i < self->n_shared; i++) {
        PyObject *value = (PyObject *)self->storages[i]->value;
        if (!fits(value, &self->array_types[self->n_inputs + i])) {
            Py_INCREF(value);
            PyObject *array = convert(c, self->n_inputs + i, value);
            Py_DECREF(value);
            if (!(value = array))
                return -1;
        }
        enter(c, self->n_inputs + i, value);
    }
    for (int i = 0; i < self->n_updates; i++) {
        const update *at = &self->updates[i];
        PyArrayObject *value = self->storages[at->shared]->value;
        int entry = self->n_inputs + at->shared;
        if (!at->inplace || (c->table[entry].data == PyArray_DATA(value) && sole_owner(value)))
            continue;
        const array_type *type = &self->array_types[entry];
        PyObject *copy =
            PyArray_SimpleNew(type->ndim, (const npy_intp *)c->table[entry].shape, type->type);
        if (!copy)
            return -1;
        memcpy(PyArray_DATA((PyArrayObject *)copy), c->table[entry].data,
               (size_t)PyArray_NBYTES((PyArrayObject *)copy));
        c->slots[self->n_outputs + i] = (PyArrayObject *)Py_NewRef(copy);
        c->owned[c->n_owned++] = copy; /* outlives a slot that is given another array */
        enter(c, entry, copy);
    }
    return 0;
}

/* ---- after the run ---- */

static PyObject *take_slot(call *c, int i)
{
    PyObject *out = (PyObject *)c->slots[i];
    c->slots[i] = NULL;
    return out;
}

/* The program is done: commit the updates and return the outputs. Nothing can fail once the first
 * is committed. */
static PyObject *finish(call *c)
{
    Callable *self = c->self;
    for (int i = 0; i < self->n_outputs + self->n_updates; i++) {
        if (c->slots[i] || (i >= self->n_outputs && self->updates[i - self->n_outputs].inplace))
            continue;
        PyErr_Format(PyExc_RuntimeError, "the program didn't make %s %d",
                     i < self->n_outputs ? "output" : "update",
                     i < self->n_outputs ? i : i - self->n_outputs);
        return NULL;
    }
    PyObject *result = NULL;
    if (!self->single && !(result = PyList_New(self->n_outputs)))
        return NULL;
    for (int i = 0; i < self->n_updates; i++)
        if (c->slots[self->n_outputs + i])
            c->slots[self->n_outputs + i] = storage_commit(self->storages[self->updates[i].shared],
                                                           c->slots[self->n_outputs + i]);
    if (self->single)
        return take_slot(c, 0);
    for (int i = 0; i < self->n_outputs; i++)
        PyList_SET_ITEM(result, i, take_slot(c, i));
    return result;
}

/* A guard failed: let Python choose another program. All is released by now, so it may call us
 * again. */
static PyObject *call_miss(Callable *self, PyObject *const *args, int guard, const int64_t *detail)
{
    PyObject *full = PyTuple_New(self->n_inputs), *result = NULL;
    if (!full)
        return NULL;
    for (int i = 0; i < self->n_inputs; i++)
        PyTuple_SET_ITEM(full, i, Py_NewRef(args[i]));
    PyObject *function = Py_XNewRef(self->miss);
    if (function == NULL || function == Py_None)
        PyErr_Format(PyExc_RuntimeError, "guard %d failed", guard);
    else
        result = PyObject_CallFunction(function, "i(LLLL)O", guard, (long long)detail[0],
                                       (long long)detail[1], (long long)detail[2],
                                       (long long)detail[3], full);
    Py_XDECREF(function);
    Py_DECREF(full);
    return result;
}

static PyObject *run_locked(call *c, int *guard)
{
    Callable *self = c->self;
    if (self->n_constants)
        memcpy(c->table + self->n_inputs + self->n_shared, self->constant_table,
               (size_t)self->n_constants * sizeof(symbolic_array));
    if (self->scratch_hint)
        c->scratch.top = pool_take(self->scratch_hint);
    int code = self->run(&c->rt, c->table);
    gil_take(c);
    self->scratch_hint = c->scratch.total;
    if (code == 0 && !c->failed)
        return finish(c);
    if (code > 0 && !c->failed)
        *guard = code - 1;
    else if (!PyErr_Occurred())
        PyErr_NoMemory();
    return NULL;
}

static inline PyObject *call_with(Callable *self, PyObject *const *args, symbolic_array *table,
                                  PyArrayObject **slots, PyObject **owned, number *numbers)
{
    call c;
    c.rt = (symbolic_runtime){rt_output,  rt_scratch,   rt_begin,     rt_python,
                              entry_gemm, {0, 0, 0, 0}, self->threads};
    c.self = self;
    c.released = NULL;
    c.failed = c.n_owned = 0;
    c.spare_bytes = 0;
    c.table = table;
    c.slots = slots;
    c.owned = owned;
    c.numbers = numbers;
    c.kept = NULL;
    c.scratch = (arena){NULL, 0};
    int n_slots = self->n_outputs + self->n_updates, guard = -1;
    for (int i = 0; i < n_slots; i++)
        slots[i] = NULL;
    PyObject *result = NULL;
    if (read_arguments(&c, args) == 0) {
        if (!self->n_shared) {
            result = run_locked(&c, &guard);
        } else {
            c.held.storages = self->storages;
            c.held.count = self->n_shared;
            if (storages_acquire(&c.held, self->access) == 0) {
                if (read_storages(&c) == 0)
                    result = run_locked(&c, &guard);
                kept_bytes -= c.spare_bytes;
                storages_release(&c.held, self->access);
            }
        }
    }
    arena_release(&c.scratch);
    /* Only now, with nothing locked: a destructor may run any code. */
    for (int i = 0; i < n_slots; i++)
        Py_XDECREF(slots[i]);
    for (int i = 0; i < c.n_owned; i++)
        Py_DECREF(owned[i]);
    Py_XDECREF(c.kept);
    return guard < 0 ? result : call_miss(self, args, guard, c.rt.detail);
}

static PyObject *call_on_stack(Callable *self, PyObject *const *args)
{
    symbolic_array table[STACK_ARRAYS];
    PyArrayObject *slots[STACK_ARRAYS];
    PyObject *owned[2 * STACK_ARRAYS];
    number numbers[STACK_ARRAYS];
    return call_with(self, args, table, slots, owned, numbers);
}

static PyObject *call_on_heap(Callable *self, PyObject *const *args, size_t n_arrays,
                              size_t n_slots)
{
    size_t each = sizeof(symbolic_array) + 2 * sizeof(PyObject *) + sizeof(number);
    char *memory = PyMem_Malloc(n_arrays * each + n_slots * sizeof(PyObject *));
    if (!memory)
        return PyErr_NoMemory();
    symbolic_array *table = (symbolic_array *)memory;
    number *numbers = (number *)(table + n_arrays);
    PyObject **owned = (PyObject **)(numbers + n_arrays);
    PyObject *result =
        call_with(self, args, table, (PyArrayObject **)(owned + 2 * n_arrays), owned, numbers);
    PyMem_Free(memory);
    return result;
}

static PyObject *call_full(Callable *self, PyObject *const *args)
{
    if (!self->run) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this Callable was never initialised, or is being destroyed");
        return NULL;
    }
    size_t n_arrays = (size_t)self->n_inputs + (size_t)self->n_shared + (size_t)self->n_constants;
    size_t n_slots = (size_t)self->n_outputs + (size_t)self->n_updates;
    if (n_arrays <= STACK_ARRAYS && n_slots <= STACK_ARRAYS)
        return call_on_stack(self, args);
    return call_on_heap(self, args, n_arrays, n_slots);
}

/* Keywords or another number of arguments: Python puts them in order. */
static PyObject *call_bound(Callable *self, PyObject *const *args, Py_ssize_t count,
                            PyObject *kwnames)
{
    if (!self->bind || self->bind == Py_None) {
        PyErr_Format(PyExc_TypeError, "expected %d positional arguments, got %zd%s", self->n_inputs,
                     count, kwnames ? " and keywords" : "");
        return NULL;
    }
    PyObject *function = Py_NewRef(self->bind), *full = NULL, *result = NULL;
    PyObject *positional = PyTuple_New(count), *keywords = PyDict_New();
    if (!positional || !keywords)
        goto done;
    for (Py_ssize_t i = 0; i < count; i++)
        PyTuple_SET_ITEM(positional, i, Py_NewRef(args[i]));
    for (Py_ssize_t i = 0; kwnames && i < PyTuple_GET_SIZE(kwnames); i++)
        if (PyDict_SetItem(keywords, PyTuple_GET_ITEM(kwnames, i), args[count + i]) < 0)
            goto done;
    if (!(full = PyObject_CallFunctionObjArgs(function, positional, keywords, NULL)))
        goto done;
    if (!PyTuple_Check(full) || PyTuple_GET_SIZE(full) != self->n_inputs)
        PyErr_Format(PyExc_TypeError, "bind must return a tuple of %d arguments", self->n_inputs);
    else
        result = call_full(self, ((PyTupleObject *)full)->ob_item);
done:
    Py_XDECREF(positional);
    Py_XDECREF(keywords);
    Py_XDECREF(full);
    Py_DECREF(function);
    return result;
}

static PyObject *call_vector(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Callable *self = (Callable *)op;
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    if (count != self->n_inputs || (kwnames && PyTuple_GET_SIZE(kwnames)))
        return call_bound(self, args, count, kwnames);
    return call_full(self, args);
}
