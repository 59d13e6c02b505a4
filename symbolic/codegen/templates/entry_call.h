/* One call of a compiled function: check arguments, lock storages, run, commit, clean up. */

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

/* The outputs as a dict; the slots keep theirs until the call ends. */
static PyObject *named_outputs(call *c)
{
    PyObject *result = PyDict_New();
    for (int i = 0; result && i < c->self->n_outputs; i++)
        if (PyDict_SetItem(result, PyTuple_GET_ITEM(c->self->keys, i), (PyObject *)c->slots[i]) < 0)
            Py_CLEAR(result);
    return result;
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
    int named = self->keys != Py_None;
    if (named && !(result = named_outputs(c)))
        return NULL;
    if (!named && !self->single && !(result = PyList_New(self->n_outputs)))
        return NULL;
    for (int i = 0; i < self->n_updates; i++)
        if (c->slots[self->n_outputs + i])
            c->slots[self->n_outputs + i] = storage_commit(self->storages[self->updates[i].shared],
                                                           c->slots[self->n_outputs + i]);
    if (self->single)
        return take_slot(c, 0);
    for (int i = 0; !named && i < self->n_outputs; i++)
        PyList_SET_ITEM(result, i, take_slot(c, i));
    return result;
}

/* A guard failed: let Python choose another program. All is released by now, so it may call us
 * again. */
static PyObject *call_miss(Callable *self, PyObject *const *args, int guard, const symbolic_runtime *rt)
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
        result = PyObject_CallFunction(function, "i(LLLLLL)O", guard, (long long)rt->detail[0],
                                       (long long)rt->detail[1], (long long)rt->detail[2],
                                       (long long)rt->detail[3], (long long)rt->step[0],
                                       (long long)rt->step[1], full);
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
    if (c->alone)
        blas_release();
    gil_take(c);
    self->scratch_hint = c->scratch.peak;
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
                              entry_gemm, rt_product_threads, rt_mark, rt_release, {0, 0, 0, 0},
                              forked ? 1 : self->threads, entry_routine, lapack.width, {0, 0}};
    c.self = self;
    c.released = NULL;
    c.failed = c.n_owned = c.alone = 0;
    c.spare_bytes = 0;
    c.table = table;
    c.slots = slots;
    c.owned = owned;
    c.numbers = numbers;
    c.scratch = (arena){NULL, 0, 0};
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
    return guard < 0 ? result : call_miss(self, args, guard, &c.rt);
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
    if (PyCallable_Check(full)) /* another function answers this call */
        result = PyObject_CallNoArgs(full);
    else if (!PyTuple_Check(full) || PyTuple_GET_SIZE(full) != self->n_inputs)
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
