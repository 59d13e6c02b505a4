/* Callable: the Python type of a compiled function; its fields are set once, by the constructor. */
#include <structmember.h>

/* What an array must be: NumPy's number of the element type (or its twin: `long long` is `long` on
 * 64-bit Unix). */
typedef struct {
    int type, twin, ndim;
} array_type;

typedef struct {
    int shared, inplace;
} update;

/* The types of one opaque Python step. */
typedef struct {
    int n_inputs, n_outputs;
    array_type *inputs, *outputs;
} step_type;

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *weakrefs;
    symbolic_run_function *run; /* NULL until initialised and once cleared */
    int n_inputs, n_shared, n_constants, n_outputs, n_updates, n_steps;
    int single, threads;
    size_t scratch_hint;        /* bytes of scratch that the latest call took */
    array_type *array_types;    /* of inputs, then of shared */
    PyArray_Descr **slot_types; /* of outputs, then of updates */
    int *slot_ndims;
    Storage **storages;    /* borrowed from `shared` */
    unsigned char *access; /* by storage: READ, WRITE or WRITE_INPLACE */
    update *updates;
    symbolic_array *constant_table;
    step_type *steps;
    PyObject *names, *shared, *constants, *python_calls;
    PyObject *convert, *bind, *miss;
    PyObject *keys; /* of a dict of outputs, or None */
} Callable;

static PyTypeObject CallableType;

static PyObject *call_vector(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames);

static int twin_of(int type)
{
    int wide = sizeof(long) == sizeof(long long);
    switch (type) {
    case NPY_LONG: return wide ? NPY_LONGLONG : NPY_INT;
    case NPY_ULONG: return wide ? NPY_ULONGLONG : NPY_UINT;
    case NPY_LONGLONG: return wide ? NPY_LONG : type;
    case NPY_ULONGLONG: return wide ? NPY_ULONG : type;
    case NPY_INT: return wide ? type : NPY_LONG;
    case NPY_UINT: return wide ? type : NPY_ULONG;
    default: return type;
    }
}

/* Does a program take this array as it is? */
static inline int fits(PyObject *value, const array_type *type)
{
    enum { NEED = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED };
    if (!PyArray_CheckExact(value))
        return 0;
    PyArrayObject *array = (PyArrayObject *)value;
    PyArray_Descr *descr = PyArray_DESCR(array);
    return (descr->type_num == type->type || descr->type_num == type->twin)
           && PyArray_NDIM(array) == type->ndim && (PyArray_FLAGS(array) & NEED) == NEED
           && PyArray_ISNBO(descr->byteorder);
}

/* TypeError: "<what> 2: expected float64 of 1 dimension, got ...". */
static void refuse(const char *what, int index, const array_type *type, PyObject *got)
{
    PyObject *expected = (PyObject *)PyArray_DescrFromType(type->type);
    if (!expected)
        return;
    if (PyArray_Check(got)) {
        PyArrayObject *array = (PyArrayObject *)got;
        PyErr_Format(
            PyExc_TypeError,
            "%s %d: expected a C-contiguous, aligned array of %S with ndim %d, got %S with "
            "ndim %d%s",
            what, index, expected, type->ndim, PyArray_DESCR(array), PyArray_NDIM(array),
            PyArray_IS_C_CONTIGUOUS(array) ? "" : ", not contiguous");
    } else {
        PyErr_Format(PyExc_TypeError, "%s %d: expected an array of %S with ndim %d, got %.200s",
                     what, index, expected, type->ndim, Py_TYPE(got)->tp_name);
    }
    Py_DECREF(expected);
}

/* ---- the constructor: from tuples to tables ---- */

static void *table_new(Py_ssize_t count, size_t size)
{
    void *out = PyMem_Calloc((size_t)(count ? count : 1), size);
    if (!out)
        PyErr_NoMemory();
    return out;
}

static int need_tuple(PyObject *value, const char *name)
{
    if (PyTuple_Check(value) && PyTuple_GET_SIZE(value) < 1 << 20)
        return 0;
    PyErr_Format(PyExc_TypeError, "Callable: %s must be a tuple, got %.200s", name,
                 Py_TYPE(value)->tp_name);
    return -1;
}

/* Read ((typenum, ndim), ...) into `out`. */
static int read_types(PyObject *tuple, const char *name, array_type *out)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++) {
        PyObject *pair = PyTuple_GET_ITEM(tuple, i);
        if (!PyTuple_Check(pair) || !PyArg_ParseTuple(pair, "ii", &out[i].type, &out[i].ndim)) {
            PyErr_Format(PyExc_TypeError, "Callable: %s[%zd] must be a pair (typenum, ndim)", name,
                         i);
            return -1;
        }
        if (!PyTypeNum_ISNUMBER(out[i].type) && !PyTypeNum_ISBOOL(out[i].type)) {
            PyErr_Format(PyExc_ValueError,
                         "Callable: %s[%zd]: %d isn't the number of a numeric type", name, i,
                         out[i].type);
            return -1;
        }
        if (out[i].ndim < 0 || out[i].ndim > NPY_MAXDIMS) {
            PyErr_Format(PyExc_ValueError, "Callable: %s[%zd]: ndim %d is out of range", name, i,
                         out[i].ndim);
            return -1;
        }
        out[i].twin = twin_of(out[i].type);
    }
    return 0;
}

static int read_shared(Callable *self, PyObject *shared, PyObject *types)
{
    self->n_shared = (int)PyTuple_GET_SIZE(shared);
    if (PyTuple_GET_SIZE(types) != self->n_shared) {
        PyErr_Format(PyExc_ValueError, "Callable: %d shared but %zd shared_types", self->n_shared,
                     PyTuple_GET_SIZE(types));
        return -1;
    }
    self->storages = table_new(self->n_shared, sizeof(Storage *));
    self->access = table_new(self->n_shared, 1);
    if (!self->storages || !self->access)
        return -1;
    for (int i = 0; i < self->n_shared; i++) {
        PyObject *at = PyTuple_GET_ITEM(shared, i);
        if (!PyObject_TypeCheck(at, &StorageType)) {
            PyErr_Format(PyExc_TypeError, "Callable: shared[%d] must be a Storage, got %.200s", i,
                         Py_TYPE(at)->tp_name);
            return -1;
        }
        self->storages[i] = (Storage *)at;
        for (int j = 0; j < i; j++) /* it would wait for itself */
            if (self->storages[j] == (Storage *)at) {
                PyErr_Format(PyExc_ValueError,
                             "Callable: shared[%d] and shared[%d] are the same Storage", j, i);
                return -1;
            }
    }
    return read_types(types, "shared_types", self->array_types + self->n_inputs);
}

static int read_updates(Callable *self, PyObject *updates)
{
    self->n_updates = (int)PyTuple_GET_SIZE(updates);
    if (!(self->updates = table_new(self->n_updates, sizeof(update))))
        return -1;
    for (int i = 0; i < self->n_updates; i++) {
        PyObject *pair = PyTuple_GET_ITEM(updates, i);
        update *at = &self->updates[i];
        if (!PyTuple_Check(pair) || !PyArg_ParseTuple(pair, "ip", &at->shared, &at->inplace)) {
            PyErr_Format(PyExc_TypeError,
                         "Callable: updates[%d] must be a pair (shared_index, inplace)", i);
            return -1;
        }
        if (at->shared < 0 || at->shared >= self->n_shared || self->access[at->shared]) {
            PyErr_Format(PyExc_ValueError,
                         "Callable: updates[%d]: shared %d doesn't exist or is updated twice", i,
                         at->shared);
            return -1;
        }
        self->access[at->shared] = at->inplace ? WRITE_INPLACE : WRITE;
    }
    return 0;
}

static int read_slots(Callable *self, PyObject *outputs)
{
    self->n_outputs = (int)PyTuple_GET_SIZE(outputs);
    int count = self->n_outputs + self->n_updates;
    self->slot_types = table_new(count, sizeof(PyArray_Descr *));
    self->slot_ndims = table_new(count, sizeof(int));
    array_type *types = table_new(self->n_outputs, sizeof(array_type));
    int status =
        self->slot_types && self->slot_ndims && types ? read_types(outputs, "outputs", types) : -1;
    for (int i = 0; status == 0 && i < count; i++) {
        const array_type *type =
            i < self->n_outputs
                ? &types[i]
                : &self->array_types[self->n_inputs + self->updates[i - self->n_outputs].shared];
        self->slot_ndims[i] = type->ndim;
        if (!(self->slot_types[i] = PyArray_DescrFromType(type->type)))
            status = -1;
    }
    PyMem_Free(types);
    return status;
}

static int read_constants(Callable *self, PyObject *constants)
{
    self->n_constants = (int)PyTuple_GET_SIZE(constants);
    if (!(self->constant_table = table_new(self->n_constants, sizeof(symbolic_array))))
        return -1;
    for (int i = 0; i < self->n_constants; i++) {
        PyArrayObject *at = (PyArrayObject *)PyTuple_GET_ITEM(constants, i);
        if (!PyArray_Check(at) || !PyArray_ISCARRAY_RO(at)) {
            PyErr_Format(PyExc_TypeError,
                         "Callable: constants[%d] must be a C-contiguous, aligned array", i);
            return -1;
        }
        self->constant_table[i] =
            (symbolic_array){PyArray_DATA(at), (const int64_t *)PyArray_DIMS(at)};
    }
    return 0;
}

static int read_steps(Callable *self, PyObject *calls, PyObject *inputs, PyObject *outputs)
{
    int count = (int)PyTuple_GET_SIZE(calls);
    if (PyTuple_GET_SIZE(inputs) != count || PyTuple_GET_SIZE(outputs) != count) {
        PyErr_Format(PyExc_ValueError,
                     "Callable: %d python_calls, but types for %zd inputs and %zd outputs", count,
                     PyTuple_GET_SIZE(inputs), PyTuple_GET_SIZE(outputs));
        return -1;
    }
    if (!(self->steps = table_new(count, sizeof(step_type))))
        return -1;
    self->n_steps = count;
    for (int i = 0; i < count; i++) {
        PyObject *in = PyTuple_GET_ITEM(inputs, i), *out = PyTuple_GET_ITEM(outputs, i);
        step_type *step = &self->steps[i];
        if (need_tuple(in, "python_input_types[i]") < 0 || need_tuple(out, "python_types[i]") < 0)
            return -1;
        step->n_inputs = (int)PyTuple_GET_SIZE(in);
        step->n_outputs = (int)PyTuple_GET_SIZE(out);
        if (!(step->inputs = table_new(step->n_inputs, sizeof(array_type)))
            || !(step->outputs = table_new(step->n_outputs, sizeof(array_type)))
            || read_types(in, "python_input_types[i]", step->inputs) < 0
            || read_types(out, "python_types[i]", step->outputs) < 0)
            return -1;
    }
    return 0;
}

static int callable_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    /* clang-format off */
    static char *keywords[] = {"run", "inputs", "names", "shared", "shared_types", "constants",
                               "outputs", "updates", "single", "nout", "convert", "bind", "miss",
                               "python_calls", "python_types", "python_input_types", "threads",
                               "keys", NULL};
    /* clang-format on */
    Callable *self = (Callable *)op;
    PyObject *run, *inputs, *names = NULL;
    PyObject *empty = PyTuple_New(0); /* a singleton: lives on after the next lines */
    if (!empty)
        return -1;
    Py_DECREF(empty);
    PyObject *shared = empty, *shared_types = empty, *constants = empty, *outputs = empty,
             *updates = empty;
    PyObject *calls = empty, *call_types = empty, *call_input_types = empty;
    PyObject *convert = Py_None, *bind = Py_None, *miss = Py_None, *keys = Py_None;
    int single = 0, nout = -2, threads = 1;
    if (self->vectorcall) { /* a running call relies on its tables */
        PyErr_SetString(PyExc_RuntimeError, "a Callable can't be initialised twice");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "O!O|$OOOOOOpiOOOOOOiO:Callable", keywords, &PyLong_Type, &run, &inputs,
            &names, &shared, &shared_types, &constants, &outputs, &updates, &single, &nout,
            &convert, &bind, &miss, &calls, &call_types, &call_input_types, &threads, &keys))
        return -1;
    if (need_tuple(inputs, "inputs") < 0 || need_tuple(shared, "shared") < 0
        || need_tuple(shared_types, "shared_types") < 0 || need_tuple(constants, "constants") < 0
        || need_tuple(outputs, "outputs") < 0 || need_tuple(updates, "updates") < 0
        || need_tuple(calls, "python_calls") < 0 || need_tuple(call_types, "python_types") < 0
        || need_tuple(call_input_types, "python_input_types") < 0)
        return -1;
    self->single = single || nout == -1;
    if (self->single ? PyTuple_GET_SIZE(outputs) != 1
                     : nout != -2 && nout != PyTuple_GET_SIZE(outputs)) {
        PyErr_Format(PyExc_ValueError, "Callable: single=%d, nout=%d don't fit %zd outputs", single,
                     nout, PyTuple_GET_SIZE(outputs));
        return -1;
    }
    if (keys != Py_None
        && (self->single || !PyTuple_Check(keys)
            || PyTuple_GET_SIZE(keys) != PyTuple_GET_SIZE(outputs))) {
        PyErr_Format(PyExc_ValueError, "Callable: keys must be a tuple of %zd",
                     PyTuple_GET_SIZE(outputs));
        return -1;
    }
    void *address = PyLong_AsVoidPtr(run);
    if (!address) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "Callable: run must be the address of a program");
        return -1;
    }
    self->vectorcall = call_vector; /* from here on there are tables: no second attempt */
    self->n_inputs = (int)PyTuple_GET_SIZE(inputs);
    if (names && names != Py_None
        && (!PyTuple_Check(names) || PyTuple_GET_SIZE(names) != self->n_inputs)) {
        PyErr_Format(PyExc_ValueError, "Callable: names must be a tuple of %d", self->n_inputs);
        return -1;
    }
    Py_ssize_t n_types = self->n_inputs + PyTuple_GET_SIZE(shared) + PyTuple_GET_SIZE(shared_types);
    if (!(self->array_types = table_new(n_types, sizeof(array_type)))
        || read_types(inputs, "inputs", self->array_types) < 0
        || read_shared(self, shared, shared_types) < 0 || read_updates(self, updates) < 0
        || read_slots(self, outputs) < 0 || read_constants(self, constants) < 0
        || read_steps(self, calls, call_input_types, call_types) < 0)
        return -1;
    self->names = Py_NewRef(names ? names : Py_None);
    self->shared = Py_NewRef(shared);
    self->constants = Py_NewRef(constants);
    self->python_calls = Py_NewRef(calls);
    self->convert = Py_NewRef(convert);
    self->bind = Py_NewRef(bind);
    self->miss = Py_NewRef(miss);
    self->keys = Py_NewRef(keys);
    self->threads = threads > 0 ? threads : 1;
    self->run = (symbolic_run_function *)(uintptr_t)address;
    return 0;
}

/* ---- the rest of the type ---- */

static int callable_traverse(PyObject *op, visitproc visit, void *arg)
{
    Callable *self = (Callable *)op;
    Py_VISIT(self->names);
    Py_VISIT(self->shared);
    Py_VISIT(self->constants);
    Py_VISIT(self->python_calls);
    Py_VISIT(self->convert);
    Py_VISIT(self->bind);
    Py_VISIT(self->miss);
    Py_VISIT(self->keys);
    return 0;
}

static int callable_clear(PyObject *op)
{
    Callable *self = (Callable *)op;
    self->run = NULL; /* its tables borrow from what goes now */
    Py_CLEAR(self->names);
    Py_CLEAR(self->shared);
    Py_CLEAR(self->constants);
    Py_CLEAR(self->python_calls);
    Py_CLEAR(self->convert);
    Py_CLEAR(self->bind);
    Py_CLEAR(self->miss);
    Py_CLEAR(self->keys);
    return 0;
}

static void callable_dealloc(PyObject *op)
{
    Callable *self = (Callable *)op;
    PyObject_GC_UnTrack(op);
    if (self->weakrefs)
        PyObject_ClearWeakRefs(op);
    callable_clear(op);
    for (int i = 0; self->slot_types && i < self->n_outputs + self->n_updates; i++)
        Py_XDECREF(self->slot_types[i]);
    for (int i = 0; i < self->n_steps; i++) {
        PyMem_Free(self->steps[i].inputs);
        PyMem_Free(self->steps[i].outputs);
    }
    void *tables[] = {self->array_types, self->slot_types, self->slot_ndims, self->storages,
                      self->access, self->updates, self->constant_table, self->steps};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        PyMem_Free(tables[i]);
    Py_TYPE(op)->tp_free(op);
}

static PyMemberDef callable_members[] = {
    {"threads", T_INT, offsetof(Callable, threads), 0, "threads that a parallel kernel may use"},
    {"scratch_bytes", T_ULONG, offsetof(Callable, scratch_hint), READONLY, "most scratch memory that the latest call held"},
    {"names", T_OBJECT, offsetof(Callable, names), READONLY, "names of the inputs, or None"},
    {"shared", T_OBJECT, offsetof(Callable, shared), READONLY,
     "storages that the program reads or updates"},
    {"constants", T_OBJECT, offsetof(Callable, constants), READONLY,
     "arrays built into the program"},
    {"python_calls", T_OBJECT, offsetof(Callable, python_calls), READONLY,
     "steps that only Python can do"},
    {"convert", T_OBJECT, offsetof(Callable, convert), 0,
     "convert(i, value) -> array, for what doesn't fit"},
    {"bind", T_OBJECT, offsetof(Callable, bind), 0, "bind(args, kwargs) -> all arguments in order"},
    {"miss", T_OBJECT, offsetof(Callable, miss), 0, "miss(guard, detail, args) -> result"},
    {0},
};

static PyTypeObject CallableType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "symbolic_entry.Callable",
    .tp_doc = "A compiled program as a Python callable. See symbolic/codegen/entry.py for its "
              "parameters.",
    .tp_basicsize = sizeof(Callable),
    .tp_flags =
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_vectorcall_offset = offsetof(Callable, vectorcall),
    .tp_call = PyVectorcall_Call,
    .tp_weaklistoffset = offsetof(Callable, weakrefs),
    .tp_new = PyType_GenericNew,
    .tp_init = callable_init,
    .tp_traverse = callable_traverse,
    .tp_clear = callable_clear,
    .tp_dealloc = callable_dealloc,
    .tp_members = callable_members,
};

/* enable_vectorcall(cls) -> cls. Before 3.12 a Python subclass doesn't inherit the flag, because
 * its __call__ could be replaced later; ours must not be. */
static PyObject *py_enable_vectorcall(PyObject *Py_UNUSED(module), PyObject *arg)
{
    if (!PyType_Check(arg) || !PyType_IsSubtype((PyTypeObject *)arg, &CallableType)) {
        PyErr_SetString(PyExc_TypeError, "enable_vectorcall: expected a subclass of Callable");
        return NULL;
    }
    PyTypeObject *type = (PyTypeObject *)arg;
    if (type->tp_call != PyVectorcall_Call
        || type->tp_vectorcall_offset != offsetof(Callable, vectorcall)) {
        PyErr_Format(PyExc_TypeError, "enable_vectorcall: %s overrides __call__", type->tp_name);
        return NULL;
    }
    type->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
    PyType_Modified(type);
    return Py_NewRef(arg);
}
