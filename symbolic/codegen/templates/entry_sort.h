/* NumPy's own sorting of vectors, for programs: it has vector code that ours would have to repeat. */

typedef int entry_sort_function(void *start, npy_intp n, void *array);

static entry_sort_function *numpy_sorts[8];
static const char *const numpy_sort_names[] = {"sort_int16",  "sort_uint16",  "sort_int32",   "sort_uint32",
                                               "sort_int64",  "sort_uint64",  "sort_float32", "sort_float64"};

/* use_numpy_sort(on): whether programs may sort by NumPy, where it has functions for that. */
static PyObject *py_use_numpy_sort(PyObject *Py_UNUSED(module), PyObject *on)
{
    static const int types[] = {NPY_INT16, NPY_UINT16, NPY_INT32, NPY_UINT32, NPY_INT64, NPY_UINT64, NPY_FLOAT32, NPY_FLOAT64};
    const int yes = PyObject_IsTrue(on);
    if (yes < 0)
        return NULL;
    for (int i = 0; i < 8; i++) {
        PyArray_Descr *descr = PyArray_DescrFromType(types[i]);
        if (!descr)
            return NULL;
        /* for numbers these read nothing of the array that they are told of, so there needn't be one */
        numpy_sorts[i] = yes ? (entry_sort_function *)PyDataType_GetArrFuncs(descr)->sort[NPY_QUICKSORT] : NULL;
        Py_DECREF(descr);
    }
    Py_RETURN_NONE;
}

/* The program's `routine`, see runtime.h. */
static void *entry_routine(const char *name)
{
    if (strncmp(name, "sort_", 5) != 0)
        return lapack_routine(name);
    for (int i = 0; i < 8; i++)
        if (strcmp(name, numpy_sort_names[i]) == 0)
            return (void *)numpy_sorts[i];
    return NULL;
}
