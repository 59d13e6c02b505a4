/* What a compiled program may ask of its host. No Python here: the entry extension fills this table. */
#ifndef SYMBOLIC_RUNTIME_H
#define SYMBOLIC_RUNTIME_H
#include <stdint.h>

typedef struct symbolic_runtime symbolic_runtime;

/* A C-contiguous array as a program sees it. */
typedef struct {
    void *data;
    const int64_t *shape;
} symbolic_array;

/* Where a program wants a result of an opaque Python step. */
typedef struct {
    void *data;     /* where it is copied to; NULL: the host takes scratch memory and says here where that is */
    int64_t *shape; /* the extents it must have; where there is -1, the host says here which it has */
    int wanted;     /* 0: nobody reads it */
} symbolic_result;

/* How far scratch memory was used at some moment. */
typedef struct {
    void *block;
    int64_t used, total;
} symbolic_mark;

struct symbolic_runtime {
    /* Allocate the array of output (or update) `slot` with this shape; NULL when there is no memory. */
    void *(*output)(symbolic_runtime *rt, int slot, const int64_t *shape);
    /* 64-byte aligned scratch memory that lives until the call returns; NULL when there is no memory. As a double, a size
       beyond all memory is seen as such. */
    void *(*scratch)(symbolic_runtime *rt, double bytes);
    /* Announce the work (about one per scalar operation) that follows: the host may release the GIL. */
    void (*begin)(symbolic_runtime *rt, double work);
    /* Run opaque Python step `call`: reads `inputs`, fills `results`. 0 or -1. */
    int (*python)(symbolic_runtime *rt, int call, const symbolic_array *inputs, symbolic_result *results);
    /* Row-major C = alpha*op(A)*op(B) + beta*C; type is one of 'f','d','c','z'; alpha and beta point to that type. */
    void (*gemm)(char type, int trans_a, int trans_b, int64_t m, int64_t n, int64_t k, const void *alpha,
                 const void *a, int64_t lda, const void *b, int64_t ldb, const void *beta, void *c, int64_t ldc);
    /* Threads among which the program may share out a product: from now on BLAS itself uses one. 1: BLAS does as it likes. */
    int (*product_threads)(symbolic_runtime *rt);
    /* Scratch memory taken between a mark and its release is free again: what one step of a loop used. */
    symbolic_mark (*mark)(symbolic_runtime *rt);
    void (*release)(symbolic_runtime *rt, symbolic_mark to);
    /* Set by a program that returns a positive code: what it saw (extents, an index, ...). */
    int64_t detail[4];
    /* Threads a parallel kernel may use. */
    int threads;
    /* A Fortran routine of LAPACK, such as "dgetrf"; NULL where it isn't found. Arguments are pointers, then a size_t of 1
       for each character argument. "sort_float64" and the like: NumPy's int (*)(void *values, intptr_t n, void *unused). */
    void *(*routine)(const char *name);
    /* Bytes of its integers. */
    int routine_integer;
    /* Of the loop that runs: the step, counted from 1, and how many there are. Zeros outside of loops. */
    int64_t step[2];
};

/* 0: done. > 0: guard number code-1 failed, nothing was written to any input. -1: the host has set an error. */
typedef int symbolic_run_function(symbolic_runtime *rt, const symbolic_array *in);
#endif
