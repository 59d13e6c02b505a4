/* Matrix products for compiled programs: row-major calls on whichever Fortran BLAS `entry.py`
 * found.
 *
 * One calling convention serves every library: NumPy's and SciPy's OpenBLAS, Accelerate and a
 * system's libblas all export dgemm and dgemv with pointer arguments. A row-major matrix is a
 * column-major one transposed, so C = op(A) op(B) is computed as C' = op(B)' op(A)' without moving
 * anything. */
#include <complex.h>
#include <limits.h>
#include <pthread.h>

enum { BLAS_LOOPS, BLAS_INT32, BLAS_INT64 };

typedef void fortran_gemm(const char *trans_a, const char *trans_b, const void *m, const void *n,
                          const void *k, const void *alpha, const void *a, const void *lda,
                          const void *b, const void *ldb, const void *beta, void *c,
                          const void *ldc);
typedef void fortran_gemv(const char *trans, const void *m, const void *n, const void *alpha,
                          const void *a, const void *lda, const void *x, const void *incx,
                          const void *beta, void *y, const void *incy);

static struct {
    int width; /* of the library's integers */
    fortran_gemm *gemm[4];
    fortran_gemv *gemv[4];
    int (*get_threads)(void);
    void (*set_threads)(int);
    PyObject *name, *path; /* for people */
} blas;

static int type_index(char type)
{
    return type == 'f' ? 0 : type == 'd' ? 1 : type == 'c' ? 2 : 3;
}

static const size_t type_size[4] = {sizeof(float), sizeof(double), 2 * sizeof(float),
                                    2 * sizeof(double)};

static int is_zero(char type, const void *scalar)
{
    switch (type) {
    case 'f': return *(const float *)scalar == 0;
    case 'd': return *(const double *)scalar == 0;
    case 'c': return *(const float complex *)scalar == 0;
    default: return *(const double complex *)scalar == 0;
    }
}

#define SCALE_ROWS(T)                                  \
    do {                                               \
        T factor = *(const T *)beta;                   \
        for (int64_t i = 0; factor != 1 && i < m; i++) \
            for (int64_t j = 0; j < n; j++)            \
                ((T *)c)[i * ldc + j] *= factor;       \
    } while (0)

/* C = beta*C. For beta == 0 whatever C held is not read: it may be uninitialised, so may be nan. */
static void gemm_scale(char type, int64_t m, int64_t n, const void *beta, void *c, int64_t ldc)
{
    if (is_zero(type, beta)) {
        size_t size = type_size[type_index(type)];
        for (int64_t i = 0; i < m; i++)
            memset((char *)c + (size_t)(i * ldc) * size, 0, (size_t)n * size);
        return;
    }
    switch (type) {
    case 'f': SCALE_ROWS(float); break;
    case 'd': SCALE_ROWS(double); break;
    case 'c': SCALE_ROWS(float complex); break;
    default: SCALE_ROWS(double complex);
    }
}
#undef SCALE_ROWS

#define T float
#define NAME gemm_loops_f
#define NAME_TYPE 'f'
#include "entry_gemm_loops.h"
#define T double
#define NAME gemm_loops_d
#define NAME_TYPE 'd'
#include "entry_gemm_loops.h"
#define T float complex
#define NAME gemm_loops_c
#define NAME_TYPE 'c'
#include "entry_gemm_loops.h"
#define T double complex
#define NAME gemm_loops_z
#define NAME_TYPE 'z'
#include "entry_gemm_loops.h"

static void gemm_loops(char type, int trans_a, int trans_b, int64_t m, int64_t n, int64_t k,
                       const void *alpha, const void *a, int64_t lda, const void *b, int64_t ldb,
                       const void *beta, void *c, int64_t ldc)
{
    switch (type) {
    case 'f': gemm_loops_f(trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc); break;
    case 'd': gemm_loops_d(trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc); break;
    case 'c': gemm_loops_c(trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc); break;
    default: gemm_loops_z(trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    }
}

/* A BLAS integer of either width: the library reads the member it was built for, from the same
 * address. */
typedef union {
    int64_t wide;
    int32_t narrow;
} blas_int;

static inline blas_int as_blas_int(int64_t value)
{
    blas_int out = {.wide = 0};
    if (blas.width == BLAS_INT64)
        out.wide = value;
    else
        out.narrow = (int32_t)value;
    return out;
}

/* Fortran's y = alpha*op(A)*x + beta*y, where a column-major A has `rows` rows. */
static void call_gemv(char type, char trans, int64_t rows, int64_t columns, const void *alpha,
                      const void *a, int64_t lda, const void *x, int64_t incx, const void *beta,
                      void *y, int64_t incy)
{
    blas_int r = as_blas_int(rows), s = as_blas_int(columns), la = as_blas_int(lda);
    blas_int ix = as_blas_int(incx), iy = as_blas_int(incy);
    /* Some libraries scale y by a beta of zero, which keeps nan: clear it first (a vector, cheap).
     */
    if (is_zero(type, beta))
        gemm_scale(type, trans == 'N' ? rows : columns, 1, beta, y, incy);
    blas.gemv[type_index(type)](&trans, &r, &s, alpha, a, &la, x, &ix, beta, y, &iy);
}

static void call_gemm(char type, int trans_a, int trans_b, int64_t m, int64_t n, int64_t k,
                      const void *alpha, const void *a, int64_t lda, const void *b, int64_t ldb,
                      const void *beta, void *c, int64_t ldc)
{
    blas_int bm = as_blas_int(m), bn = as_blas_int(n), bk = as_blas_int(k);
    blas_int la = as_blas_int(lda), lb = as_blas_int(ldb), lc = as_blas_int(ldc);
    blas.gemm[type_index(type)](trans_b ? "T" : "N", trans_a ? "T" : "N", &bn, &bm, &bk, alpha, b,
                                &lb, a, &la, beta, c, &lc);
}

/* Programs share products out among their own threads. Were BLAS's threads used as well, they would
 * spin for milliseconds after each product and take the cores from the loops between products (an
 * LSTM's training step took 1.7 times as long). So BLAS uses one thread as long as any program runs
 * that multiplies; the last one to end gives it back what it had. */
static pthread_mutex_t claim_mutex = PTHREAD_MUTEX_INITIALIZER;
static int claims, claimed_threads;

/* The threads, at most `wanted`, for a program that shares out its products itself; 0 if BLAS can't
 * be told. */
static int blas_claim(int wanted)
{
    if (!blas.get_threads || !blas.set_threads)
        return 0;
    pthread_mutex_lock(&claim_mutex);
    if (claims++ == 0) {
        claimed_threads = blas.get_threads();
        blas.set_threads(1);
    }
    int most = claimed_threads;
    pthread_mutex_unlock(&claim_mutex);
    return wanted < most ? wanted : most;
}

static void blas_release(void)
{
    pthread_mutex_lock(&claim_mutex);
    if (claims > 0 && --claims == 0)
        blas.set_threads(claimed_threads);
    pthread_mutex_unlock(&claim_mutex);
}

/* In the child of a fork, other threads' claims are void; programs use one thread there. */
static void blas_after_fork(void)
{
    pthread_mutex_init(&claim_mutex, NULL);
    claims = 0;
}

static inline int64_t at_least(int64_t value, int64_t least)
{
    return value > least ? value : least;
}

/* The program's `gemm`, see runtime.h. */
static void entry_gemm(char type, int trans_a, int trans_b, int64_t m, int64_t n, int64_t k,
                       const void *alpha, const void *a, int64_t lda, const void *b, int64_t ldb,
                       const void *beta, void *c, int64_t ldc)
{
    if (m <= 0 || n <= 0)
        return;
    if (k <= 0) {
        gemm_scale(type, m, n, beta, c, ldc);
        return;
    }
    /* BLAS insists on a leading dimension of at least a row, even where there is but one row and no
     * next. */
    lda = at_least(lda, trans_a ? m : k);
    ldb = at_least(ldb, trans_b ? k : n);
    ldc = at_least(ldc, n);
    int64_t largest = at_least(at_least(at_least(m, n), k), at_least(at_least(lda, ldb), ldc));
    if (blas.width == BLAS_LOOPS || (blas.width == BLAS_INT32 && largest > INT_MAX)) {
        gemm_loops(type, trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    } else if (n == 1) { /* C = op(A) x; A is column-major as A', so not transposed means 'T' */
        int64_t incx = trans_b ? 1 : ldb;
        if (trans_a)
            call_gemv(type, 'N', m, k, alpha, a, lda, b, incx, beta, c, ldc);
        else
            call_gemv(type, 'T', k, m, alpha, a, lda, b, incx, beta, c, ldc);
    } else if (m == 1) { /* C' = op(B)' x */
        int64_t incx = trans_a ? lda : 1;
        if (trans_b)
            call_gemv(type, 'T', k, n, alpha, b, ldb, a, incx, beta, c, 1);
        else
            call_gemv(type, 'N', n, k, alpha, b, ldb, a, incx, beta, c, 1);
    } else {
        call_gemm(type, trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    }
}

/* set_blas(name, path, width, gemm, gemv, get_threads, set_threads): width 0 (loops), 32 or 64;
 * gemm and gemv are four addresses each, for f, d, c, z; the last two are addresses or 0. */
static PyObject *py_set_blas(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *name, *path;
    int width;
    Py_ssize_t gemm[4], gemv[4], get_threads, set_threads;
    if (!PyArg_ParseTuple(args, "UOi(nnnn)(nnnn)nn:set_blas", &name, &path, &width, &gemm[0],
                          &gemm[1], &gemm[2], &gemm[3], &gemv[0], &gemv[1], &gemv[2], &gemv[3],
                          &get_threads, &set_threads))
        return NULL;
    if (width != 0 && width != 32 && width != 64) {
        PyErr_Format(PyExc_ValueError, "set_blas: width must be 0, 32 or 64, got %d", width);
        return NULL;
    }
    for (int i = 0; i < 4; i++) {
        if (width && (!gemm[i] || !gemv[i])) {
            PyErr_SetString(PyExc_ValueError, "set_blas: an address is zero");
            return NULL;
        }
        blas.gemm[i] = (fortran_gemm *)gemm[i];
        blas.gemv[i] = (fortran_gemv *)gemv[i];
    }
    blas.width = width == 64 ? BLAS_INT64 : width == 32 ? BLAS_INT32 : BLAS_LOOPS;
    blas.get_threads = (int (*)(void))get_threads;
    blas.set_threads = (void (*)(int))set_threads;
    Py_INCREF(name);
    Py_XSETREF(blas.name, name);
    Py_INCREF(path);
    Py_XSETREF(blas.path, path);
    Py_RETURN_NONE;
}

static PyObject *py_blas_info(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    static const char *interfaces[] = {"C loops", "Fortran, 32-bit integers",
                                       "Fortran, 64-bit integers"};
    PyObject *threads = blas.get_threads ? PyLong_FromLong(blas.get_threads()) : Py_NewRef(Py_None);
    if (!threads)
        return NULL;
    return Py_BuildValue("{sOsOsssN}", "name", blas.name ? blas.name : Py_None, "path",
                         blas.path ? blas.path : Py_None, "interface", interfaces[blas.width],
                         "threads", threads);
}

static PyObject *py_set_blas_threads(PyObject *Py_UNUSED(module), PyObject *arg)
{
    long n = PyLong_AsLong(arg);
    if (n == -1 && PyErr_Occurred())
        return NULL;
    if (n < 1 || n > 4096) {
        PyErr_Format(PyExc_ValueError,
                     "set_blas_threads: expected between 1 and 4096 threads, got %ld", n);
        return NULL;
    }
    if (blas.set_threads)
        blas.set_threads((int)n);
    Py_RETURN_NONE;
}

/* gemm(type, trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) with addresses: for
 * tests only. */
static PyObject *py_gemm(PyObject *Py_UNUSED(module), PyObject *args)
{
    int type, trans_a, trans_b;
    Py_ssize_t m, n, k, alpha, a, lda, b, ldb, beta, c, ldc;
    if (!PyArg_ParseTuple(args, "Cppnnnnnnnnnnn:_gemm", &type, &trans_a, &trans_b, &m, &n, &k,
                          &alpha, &a, &lda, &b, &ldb, &beta, &c, &ldc))
        return NULL;
    entry_gemm((char)type, trans_a, trans_b, m, n, k, (void *)alpha, (void *)a, lda, (void *)b, ldb,
               (void *)beta, (void *)c, ldc);
    Py_RETURN_NONE;
}
