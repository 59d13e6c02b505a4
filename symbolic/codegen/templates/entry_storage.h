/* Storage: the array of one shared variable, with a lock of many readers or one writer.
 *
 * The counters are only touched with the GIL held, so they need no lock of their own. A call takes
 * all its storages together or none, and a waiting call holds none, so calls can't wait for each
 * other in a circle. */
#include <pthread.h>
#include <time.h>

typedef struct {
    PyObject_HEAD
    PyObject *weakrefs;
    PyArrayObject *value;
    PyArrayObject
        *spare; /* the previous value, if nobody else has it: the next update may write there */
    int readers, writing; /* `writing` is WRITE_INPLACE if the value itself may be changing */
    unsigned forks;       /* how often this process had been forked when they were last looked at */
    int torn;             /* a thread that a fork left behind was writing the value */
} Storage;

enum { READ, WRITE, WRITE_INPLACE };

static PyTypeObject StorageType;

/* Is the array ours alone? Then it may be written without anybody noticing. */
static int sole_owner(PyArrayObject *array)
{
    enum { NEED = NPY_ARRAY_OWNDATA | NPY_ARRAY_WRITEABLE };
    return Py_REFCNT(array) == 1 && (PyArray_FLAGS(array) & NEED) == NEED
           && PyArray_CheckExact((PyObject *)array);
}

static void storage_drop_spare(Storage *self)
{
    if (self->spare) {
        kept_bytes -= (size_t)PyArray_NBYTES(self->spare);
        Py_CLEAR(self->spare);
    }
}

/* Replace the value (steals `fresh`), keeping the old one for the next update where memory allows.
 * Returns what is left for the caller to drop once nothing is locked: dropping may run any code. */
static PyArrayObject *storage_commit(Storage *self, PyArrayObject *fresh)
{
    PyArrayObject *old = self->value;
    self->value = fresh;
    storage_drop_spare(self);
    if (!sole_owner(old) || !keep((size_t)PyArray_NBYTES(old)))
        return old;
    self->spare = old;
    return NULL;
}

/* ---- waiting. Threads that must wait sleep on one condition; whoever releases a storage wakes
 * them all. ---- */

static pthread_mutex_t wait_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wait_condition = PTHREAD_COND_INITIALIZER;
static int waiters;            /* GIL */
static unsigned forks;
static unsigned long releases; /* written with GIL and mutex, read with either */

static void wake_waiters(void)
{
    if (!waiters)
        return;
    pthread_mutex_lock(&wait_mutex);
    releases++;
    pthread_cond_broadcast(&wait_condition);
    pthread_mutex_unlock(&wait_mutex);
}

/* Let others run until a storage was released. -1 with an error if a signal's handler raised. */
static int wait_for_release(void)
{
    unsigned long seen = releases;
    waiters++;
    Py_BEGIN_ALLOW_THREADS;
    struct timespec until; /* bounded, so that Ctrl-C is noticed */
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 100000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&wait_mutex);
    int timed_out = 0;
    while (seen == releases && !timed_out)
        timed_out = pthread_cond_timedwait(&wait_condition, &wait_mutex, &until);
    pthread_mutex_unlock(&wait_mutex);
    Py_END_ALLOW_THREADS;
    waiters--;
    return PyErr_CheckSignals();
}

/* ---- what a thread holds: a list of its running calls, so that waiting for oneself is an error,
 * not a hang ---- */

typedef struct holder {
    Storage **storages;
    const unsigned char *access;
    int count;
    struct holder *outer;
} holder;

static _Thread_local holder *held_here;

static int is_held_here(Storage *wanted)
{
    for (holder *at = held_here; at; at = at->outer)
        for (int i = 0; i < at->count; i++)
            if (at->storages[i] == wanted)
                return 1;
    return 0;
}

/* In the child of a fork: of the threads that held storages, only this one is there. */
static void storages_after_fork(void)
{
    forks++;
    waiters = 0;
    pthread_mutex_init(&wait_mutex, NULL);
    pthread_cond_init(&wait_condition, NULL);
}

/* Forget what threads hold that a fork left behind. */
static void storage_settle(Storage *self)
{
    if (self->forks == forks)
        return;
    int readers = 0, writing = 0;
    for (holder *at = held_here; at; at = at->outer)
        for (int i = 0; i < at->count; i++)
            if (at->storages[i] == self) {
                if (at->access[i])
                    writing = at->access[i];
                else
                    readers++;
            }
    self->torn |= self->writing == WRITE_INPLACE && writing != WRITE_INPLACE;
    self->readers = readers;
    self->writing = writing;
    self->forks = forks;
}

static int storage_whole(Storage *self)
{
    if (!self->torn)
        return 0;
    PyErr_SetString(PyExc_RuntimeError,
                    "this process was forked while another thread was updating this shared variable, so its value is "
                    "half new and half old here\nhint: fork while no call is running, or use set_value first");
    return -1;
}

static int wait_for(Storage *wanted)
{
    if (!is_held_here(wanted))
        return wait_for_release();
    PyErr_SetString(PyExc_RuntimeError,
                    "a shared variable is in use by the call that this code runs in; "
                    "it can only be changed after that call has returned");
    return -1;
}

/* Take all storages, for what `access` says of each. Not inlined: gcc 12 would warn of the address
 * that is kept until storages_release. */
__attribute__((noinline)) static int storages_acquire(holder *self, const unsigned char *access)
{
    for (int i = 0; i < self->count;) {
        Storage *at = self->storages[i];
        storage_settle(at);
        if (storage_whole(at) < 0)
            return -1;
        if (!at->writing && !(access[i] && at->readers)) {
            i++;
            continue;
        }
        if (wait_for(at) < 0)
            return -1;
        i = 0;
    }
    for (int i = 0; i < self->count; i++) {
        if (access[i])
            self->storages[i]->writing = access[i];
        else
            self->storages[i]->readers++;
    }
    self->access = access;
    self->outer = held_here;
    held_here = self;
    return 0;
}

static void storages_release(holder *self, const unsigned char *access)
{
    for (int i = 0; i < self->count; i++) {
        storage_settle(self->storages[i]);
        if (access[i])
            self->storages[i]->writing = 0;
        else
            self->storages[i]->readers--;
    }
    held_here = self->outer;
    wake_waiters();
}

/* ---- the Python type ---- */

static PyObject *storage_get_value(PyObject *op, void *Py_UNUSED(closure))
{
    Storage *self = (Storage *)op;
    /* Nobody may see an array half written; a value that is about to be replaced is another matter.
     */
    storage_settle(self);
    while (self->writing == WRITE_INPLACE && !is_held_here(self))
        if (wait_for_release() < 0)
            return NULL;
    if (storage_whole(self) < 0)
        return NULL;
    return Py_NewRef(self->value);
}

static int storage_set_value(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    Storage *self = (Storage *)op;
    if (!value || !PyArray_Check(value)) {
        PyErr_Format(PyExc_TypeError, "Storage.value must be a NumPy array, got %s",
                     value ? Py_TYPE(value)->tp_name : "nothing");
        return -1;
    }
    storage_settle(self);
    while (self->readers || self->writing)
        if (wait_for(self) < 0)
            return -1;
    self->torn = 0;
    storage_drop_spare(self);
    Py_INCREF(value);
    Py_SETREF(self->value, (PyArrayObject *)value);
    return 0;
}

static PyObject *storage_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"value", NULL};
    PyObject *value;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!:Storage", keywords, &PyArray_Type, &value))
        return NULL;
    Storage *self = (Storage *)type->tp_alloc(type, 0);
    if (self) {
        self->value = (PyArrayObject *)Py_NewRef(value);
        self->forks = forks;
    }
    return (PyObject *)self;
}

static void storage_dealloc(PyObject *op)
{
    Storage *self = (Storage *)op;
    if (self->weakrefs)
        PyObject_ClearWeakRefs(op);
    storage_drop_spare(self);
    Py_XDECREF(self->value);
    Py_TYPE(op)->tp_free(op);
}

static PyObject *storage_repr(PyObject *op)
{
    return PyUnicode_FromFormat("%s(%R)", Py_TYPE(op)->tp_name, ((Storage *)op)->value);
}

static PyObject *storage_has_spare(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((Storage *)op)->spare != NULL);
}

static PyGetSetDef storage_getset[] = {
    {"value", storage_get_value, storage_set_value,
     "The array itself, not a copy. Setting waits for running calls.", NULL},
    {"has_spare", storage_has_spare, NULL, "Whether the next update can reuse the previous array.",
     NULL},
    {0},
};

static PyTypeObject StorageType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "symbolic_entry.Storage",
    .tp_doc = "Storage(value)\n\nThe array of one shared variable, which compiled functions read "
              "and update.",
    .tp_basicsize = sizeof(Storage),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_weaklistoffset = offsetof(Storage, weakrefs),
    .tp_new = storage_new,
    .tp_dealloc = storage_dealloc,
    .tp_repr = storage_repr,
    .tp_getset = storage_getset,
};
