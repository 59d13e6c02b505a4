/* The product of last resort, for machines without any BLAS. Included once for each element type T;
 * NAME is the function and NAME_TYPE its letter. All operands are row-major. */
static void NAME(int trans_a, int trans_b, int64_t m, int64_t n, int64_t k, const T *alpha,
                 const T *a, int64_t lda, const T *b, int64_t ldb, const T *beta, T *c, int64_t ldc)
{
    /* 64 rows of B at a time: a panel of 64 x n stays in the cache while all rows of A pass over
     * it. */
    enum { PANEL = 64 };
    gemm_scale(NAME_TYPE, m, n, beta, c, ldc);
    for (int64_t p0 = 0; p0 < k; p0 += PANEL) {
        int64_t p1 = p0 + PANEL < k ? p0 + PANEL : k;
        for (int64_t i = 0; i < m; i++) {
            T *row = c + i * ldc;
            if (trans_b) {
                for (int64_t j = 0; j < n; j++) {
                    T sum = 0;
                    for (int64_t p = p0; p < p1; p++)
                        sum += (trans_a ? a[p * lda + i] : a[i * lda + p]) * b[j * ldb + p];
                    row[j] += *alpha * sum;
                }
                continue;
            }
            for (int64_t p = p0; p < p1; p++) {
                T factor = *alpha * (trans_a ? a[p * lda + i] : a[i * lda + p]);
                const T *from = b + p * ldb;
                for (int64_t j = 0; j < n; j++)
                    row[j] += factor * from[j];
            }
        }
    }
}
#undef T
#undef NAME
#undef NAME_TYPE
