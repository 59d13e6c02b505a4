/* The entry: what stands between Python and compiled programs. Built once per interpreter (see
 * entry.py), so that the programs themselves need no Python headers. Storage holds a shared
 * variable's array, Callable is a compiled function, the rest loads programs and finds them a BLAS.
 */
#define PY_SSIZE_T_CLEAN /* Python.h comes first: it defines what the system's headers offer */
#include <Python.h>
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "runtime.h"

_Static_assert(sizeof(npy_intp) == sizeof(int64_t), "shapes are handed to programs as int64");

#include "entry_memory.h"
#include "entry_blas.h"
#include "entry_lapack.h"
#include "entry_sort.h"
#include "entry_storage.h"
#include "entry_callable.h"
#include "entry_outputs.h"
#include "entry_runtime.h"
#include "entry_call.h"

/* load(path, symbol, shared=False) -> address. The library stays loaded: a function pointer tells
 * nobody when it is dropped. With `shared`, libraries loaded later may call its kernels. */
static PyObject *py_load(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *path;
    const char *symbol;
    int shared = 0;
    if (!PyArg_ParseTuple(args, "O&s|p:load", PyUnicode_FSConverter, &path, &symbol, &shared))
        return NULL;
    PyObject *out = NULL;
    const char *file = PyBytes_AS_STRING(path);
    void *library = dlopen(file, RTLD_NOW | (shared ? RTLD_GLOBAL : RTLD_LOCAL));
    void *address = library ? dlsym(library, symbol) : NULL;
    if (address) {
        out = PyLong_FromVoidPtr(address);
    } else {
        const char *reason = dlerror();
        PyObject *text = PyUnicode_FromFormat("can't load %s from %s: %s", symbol, file,
                                              reason ? reason : "it is NULL");
        PyObject *where = text ? PyUnicode_DecodeFSDefault(file) : NULL;
        if (where)
            PyErr_SetImportError(text, NULL, where);
        Py_XDECREF(text);
        Py_XDECREF(where);
        if (library)
            dlclose(library);
    }
    Py_DECREF(path);
    return out;
}

/* capsule_address(capsule) -> address: how SciPy hands out its BLAS. */
static PyObject *py_capsule_address(PyObject *Py_UNUSED(module), PyObject *arg)
{
    if (!PyCapsule_CheckExact(arg)) {
        PyErr_SetString(PyExc_TypeError, "capsule_address: expected a capsule");
        return NULL;
    }
    void *address = PyCapsule_GetPointer(arg, PyCapsule_GetName(arg));
    return address ? PyLong_FromVoidPtr(address) : NULL;
}

static PyMethodDef methods[] = {
    {"load", py_load, METH_VARARGS,
     "load(path, symbol, shared=False) -> int\n\nThe address of a symbol of a shared library."},
    {"capsule_address", py_capsule_address, METH_O, "The address in a capsule."},
    {"enable_vectorcall", py_enable_vectorcall, METH_O,
     "Let a Python subclass of Callable be called directly."},
    {"set_lapack", py_set_lapack, METH_VARARGS, "Tell which LAPACK to use; see entry.py."},
    {"use_numpy_sort", py_use_numpy_sort, METH_O, "Whether programs may sort vectors by NumPy's functions."},
    {"set_blas", py_set_blas, METH_VARARGS, "Tell which BLAS to use; see entry.py."},
    {"blas_info", py_blas_info, METH_NOARGS,
     "dict of name, path, interface and threads of the BLAS in use."},
    {"set_blas_threads", py_set_blas_threads, METH_O,
     "Set the number of threads of the BLAS in use."},
    {"trim", py_trim, METH_NOARGS,
     "Free kept scratch memory; returns the bytes still kept by storages."},
    {"set_kept_limit", py_set_kept_limit, METH_O,
     "Limit the bytes kept between calls (at first 1/4 of the memory)."},
    {"_gemm", py_gemm, METH_VARARGS, "The programs' gemm on addresses, for tests."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "symbolic_entry",
    .m_doc = "What stands between Python and compiled programs.",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit_symbolic_entry(void)
{
    import_array();
    if (pthread_atfork(NULL, NULL, after_fork_in_child)) {
        PyErr_SetString(PyExc_MemoryError, "pthread_atfork");
        return NULL;
    }
    if (PyType_Ready(&StorageType) < 0 || PyType_Ready(&CallableType) < 0)
        return NULL;
    memory_init();
    if (outputs_init() < 0)
        return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (!module)
        return NULL;
    if (PyModule_AddObjectRef(module, "Storage", (PyObject *)&StorageType) < 0
        || PyModule_AddObjectRef(module, "Callable", (PyObject *)&CallableType) < 0)
        Py_CLEAR(module);
    return module;
}
