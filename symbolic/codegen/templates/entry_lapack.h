/* LAPACK for compiled programs: Fortran routines by name, from whichever library `entry.py` found. */

enum { LAPACK_ROUTINES = 128 };

static struct {
    int width; /* bytes of the library's integers; 0: there is no library */
    int count;
    struct {
        char name[12];
        void *address;
    } routines[LAPACK_ROUTINES]; /* in the order of their names */
} lapack;

/* A routine of LAPACK, or NULL. */
static void *lapack_routine(const char *name)
{
    int low = 0, high = lapack.count;
    while (low < high) {
        int middle = (low + high) / 2, order = strcmp(name, lapack.routines[middle].name);
        if (order == 0)
            return lapack.routines[middle].address;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* set_lapack(width, routines): bytes of its integers (0, 4 or 8), and pairs (name, address) in the
 * order of their names. */
static PyObject *py_set_lapack(PyObject *Py_UNUSED(module), PyObject *args)
{
    int width;
    PyObject *routines;
    if (!PyArg_ParseTuple(args, "iO!:set_lapack", &width, &PyTuple_Type, &routines))
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(routines);
    if ((width != 0 && width != 4 && width != 8) || count > LAPACK_ROUTINES) {
        PyErr_SetString(PyExc_ValueError, "set_lapack: width must be 0, 4 or 8, and routines few");
        return NULL;
    }
    lapack.count = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        const char *name;
        Py_ssize_t address;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(routines, i), "sn:set_lapack", &name, &address))
            return NULL;
        snprintf(lapack.routines[i].name, sizeof lapack.routines[i].name, "%s", name);
        lapack.routines[i].address = (void *)address;
    }
    lapack.width = width;
    lapack.count = (int)count;
    Py_RETURN_NONE;
}
