/* Memory of large outputs, handed out again once the array that had it is gone.
 *
 * A fresh array of some megabytes costs a page fault for every 4 KiB when it is first written: as
 * long as computing it. NumPy lets an array carry the functions that free its memory; ours keep
 * blocks for the next output of that size. Touched with the GIL held: NumPy allocates and frees
 * under it. */
enum { OUTPUT_FROM = 1 << 18, OUTPUT_BLOCKS = 16, OUTPUT_KEPT = 1 << 28 };

static block *freed_outputs[OUTPUT_BLOCKS]; /* oldest first */
static int n_freed_outputs;
static size_t freed_output_bytes;
static PyObject *output_handler; /* the capsule that NumPy wants */

static block *freed_output_remove(int i)
{
    block *out = freed_outputs[i];
    freed_output_bytes -= out->size;
    kept_bytes -= out->size;
    n_freed_outputs--;
    for (; i < n_freed_outputs; i++)
        freed_outputs[i] = freed_outputs[i + 1];
    return out;
}

static size_t output_size(size_t bytes)
{
    return (bytes + 4095) & ~(size_t)4095;
}

static void *output_malloc(void *Py_UNUSED(context), size_t bytes)
{
    size_t size = output_size(bytes);
    if (size < bytes || size > SIZE_MAX / 2)
        return NULL;
    for (int i = n_freed_outputs; i-- > 0;)
        if (freed_outputs[i]->size == size)
            return freed_output_remove(i) + 1;
    block *fresh = block_new(size);
    return fresh ? fresh + 1 : NULL;
}

static void *output_calloc(void *context, size_t count, size_t each)
{
    void *out = each && count > SIZE_MAX / each ? NULL : output_malloc(context, count * each);
    return out ? memset(out, 0, count * each) : NULL;
}

static void output_free(void *Py_UNUSED(context), void *memory, size_t Py_UNUSED(bytes))
{
    if (!memory)
        return;
    block *mine = (block *)memory - 1;
    if (mine->size > OUTPUT_KEPT || kept_bytes + mine->size > kept_limit) {
        free(mine);
        return;
    }
    while (n_freed_outputs == OUTPUT_BLOCKS || freed_output_bytes + mine->size > OUTPUT_KEPT)
        free(freed_output_remove(0));
    freed_outputs[n_freed_outputs++] = mine;
    freed_output_bytes += mine->size;
    kept_bytes += mine->size;
}

static void *output_realloc(void *context, void *memory, size_t bytes)
{
    void *fresh = output_malloc(context, bytes);
    if (fresh && memory) {
        size_t old = ((block *)memory - 1)->size;
        memcpy(fresh, memory, old < bytes ? old : bytes);
        output_free(context, memory, old);
    }
    return fresh;
}

static PyDataMem_Handler output_functions = {
    "symbolic",
    1,
    {NULL, output_malloc, output_calloc, output_realloc, output_free},
};

static int outputs_init(void)
{
    output_handler = PyCapsule_New(&output_functions, "mem_handler", NULL);
    return output_handler ? 0 : -1;
}

static void outputs_trim(void)
{
    while (n_freed_outputs)
        free(freed_output_remove(n_freed_outputs - 1));
}

/* A new array; a large one from what was freed before. */
static PyObject *output_array(PyArray_Descr *type, int ndim, const int64_t *shape)
{
    size_t bytes = (size_t)PyDataType_ELSIZE(type);
    for (int i = 0; i < ndim; i++) /* beyond 2**40 it doesn't matter: NumPy will say what is wrong */
        bytes = shape[i] < 0 || bytes > (size_t)1 << 40 ? 0 : bytes * (size_t)shape[i];
    PyObject *before = NULL;
    if (bytes >= OUTPUT_FROM && !(before = PyDataMem_SetHandler(output_handler)))
        return NULL;
    Py_INCREF(type);
    PyObject *array =
        PyArray_NewFromDescr(&PyArray_Type, type, ndim, (const npy_intp *)shape, NULL, NULL, 0, NULL);
    if (before) {
        PyObject *kind, *value, *trace; /* an error of the allocation, to be kept */
        PyErr_Fetch(&kind, &value, &trace);
        Py_XDECREF(PyDataMem_SetHandler(before));
        Py_DECREF(before);
        PyErr_Restore(kind, value, trace);
    }
    return array;
}
