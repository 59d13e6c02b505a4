/* when: omp_get_ */
/* OpenMP's; its header declares much more. */
int omp_get_thread_num(void);
int omp_get_num_threads(void);

/* when: sym_(floordiv|mod|pow)_[iu] */
/* NumPy's integer division: rounds down, and anything divided by zero is zero. */
#define SYM_INT(T, S)                                                                              \
    static inline T sym_floordiv_##S(T x, T y)                                                     \
    {                                                                                              \
        if (y == 0) return 0;                                                                      \
        if ((T)-1 < 0 && y == (T)-1) return (T)(0 - (uint64_t)x);                                  \
        T q = (T)(x / y);                                                                          \
        return (x % y != 0 && (x < 0) != (y < 0)) ? (T)(q - 1) : q;                                \
    }                                                                                              \
    static inline T sym_mod_##S(T x, T y)                                                          \
    {                                                                                              \
        if (y == 0 || ((T)-1 < 0 && y == (T)-1)) return 0;                                         \
        T r = (T)(x % y);                                                                          \
        return (r != 0 && (r < 0) != (y < 0)) ? (T)(r + y) : r;                                    \
    }                                                                                              \
    static inline T sym_pow_##S(T x, T n)                                                          \
    {                                                                                              \
        if (n < 0) return x == 1 ? 1 : ((T)-1 < 0 && x == (T)-1) ? ((n & 1) ? x : (T)1) : 0;       \
        uint64_t result = 1, base = (uint64_t)x;                                                   \
        for (uint64_t k = (uint64_t)n; k != 0; k >>= 1, base *= base)                              \
            if (k & 1) result *= base;                                                             \
        return (T)result;                                                                          \
    }
SYM_INTEGERS

/* when: sym_to_i64f?\( */
/* x without its fraction. The second half sets the only bit that is set for minus infinity anyway: it keeps GCC 12 from
   taking (double)(int64_t)x for trunc(x), which is -0.0 for -0.5. */
static inline int64_t sym_to_i64(double x)
{
    return (int64_t)((uint64_t)(int64_t)x | (uint64_t)(x == -__builtin_inf()) << 63);
}
static inline int64_t sym_to_i64f(float x)
{
    return (int64_t)((uint64_t)(int64_t)x | (uint64_t)(x == -__builtin_inff()) << 63);
}

/* when: sym_zero_minusf?\( */
/* 0 - x, which GCC 12 takes for -x where x was an integer: 0 - 0 is 0, not -0.0. */
static inline double sym_zero_minus(double x) { return x == 0 ? 0.0 : -x; }
static inline float sym_zero_minusf(float x) { return x == 0 ? 0.0f : -x; }

/* when: sym_to_u64 */
static inline uint64_t sym_to_u64(double x)
{
    const int small = x < 9223372036854775808.0; /* through int64_t, as the interpreter does, whatever doesn't fit becomes */
    return (uint64_t)(int64_t)(small ? x : x - 9223372036854775808.0) ^ (small ? 0 : UINT64_C(1) << 63);
}

/* when: sym_(mod|floordiv)f?\( */
/* NumPy's float remainder has the sign of the divisor; its floor division is consistent with it. */
#define SYM_FLOAT(T, F)                                                                            \
    static inline T sym_mod##F(T x, T y)                                                           \
    {                                                                                              \
        T r = fmod##F(x, y);                                                                       \
        if (y == 0) return r;                                                                      \
        if (r != 0) return ((y < 0) != (r < 0)) ? r + y : r;                                       \
        return copysign##F((T)0, y);                                                                  \
    }                                                                                              \
    static inline T sym_floordiv##F(T x, T y)                                                      \
    {                                                                                              \
        if (y == 0) return x / y;                                                                  \
        T r = fmod##F(x, y), q = (x - r) / y;                                                      \
        if (r != 0 && (y < 0) != (r < 0)) q -= 1;                                                  \
        if (q == 0) return copysign##F((T)0, x / y);                                                  \
        T whole = floor##F(q);                                                                     \
        return q - whole > (T)0.5 ? whole + 1 : whole;                                             \
    }
SYM_FLOAT(float, f)
SYM_FLOAT(double, )

/* when: sym_complex */
static inline float _Complex sym_complexf(float re, float im) { return CMPLXF(re, im); }
static inline double _Complex sym_complex(double re, double im) { return CMPLX(re, im); }

/* when: sym_cpow */
/* x to the power y; C's own is nan for the power 0 of an infinite number. */
static inline float _Complex sym_cpowf(float _Complex x, float _Complex y) { return y == 0 ? 1 : cpowf(x, y); }
static inline double _Complex sym_cpow(double _Complex x, double _Complex y) { return y == 0 ? 1 : cpow(x, y); }

/* when: sym_philox */
/* Philox4x32-10 (Salmon et al., SC 2011): one word of the block at counter c under key k. Where all four are asked for, a
   compiler sees that they are one block. Rounds are written out, so that loops around it are vectorised. */
static inline __attribute__((always_inline)) uint32_t sym_philox(
    uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0, uint32_t k1, int word)
{
#define SYM_ROUND(r)                                                                               \
    {                                                                                              \
        const uint64_t p = (uint64_t)c0 * 0xD2511F53u, q = (uint64_t)c2 * 0xCD9E8D57u;             \
        c0 = (uint32_t)(q >> 32) ^ c1 ^ (k0 + r * 0x9E3779B9u), c1 = (uint32_t)q;                  \
        c2 = (uint32_t)(p >> 32) ^ c3 ^ (k1 + r * 0xBB67AE85u), c3 = (uint32_t)p;                  \
    }
    SYM_ROUND(0u) SYM_ROUND(1u) SYM_ROUND(2u) SYM_ROUND(3u) SYM_ROUND(4u)
    SYM_ROUND(5u) SYM_ROUND(6u) SYM_ROUND(7u) SYM_ROUND(8u) SYM_ROUND(9u)
#undef SYM_ROUND
    return word == 0 ? c0 : word == 1 ? c1 : word == 2 ? c2 : c3;
}

/* when: (\b|sym_)(exp|log|sin|cos|tan|asin|acos|atan|erf)[a-z0-9]*\( */
/* glibc's vector libm (a few ulp, IEEE special values): gcc calls it in simd loops once it is told that it exists. */
#if defined(__GLIBC__) && defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#if __GLIBC_PREREQ(2, 35)
#define SYM_SIMD1(name)                                                                            \
    extern double name(double) __attribute__((simd("notinbranch")));                               \
    extern float name##f(float) __attribute__((simd("notinbranch")));
SYM_VECTOR_FUNCTIONS
#define SYM_VECTOR_LIBM
#ifdef __AVX512F__
#define SYM_WIDE_VECTOR_LIBM
#else
#define SYM_NARROW_VECTOR_LIBM
#endif
#endif
#endif

/* when: SYM_LANES */
/* Elements in the widest register. Compilers choose shorter ones where there is a choice, which costs functions up to 80 %. */
#if defined(__AVX512F__)
#define SYM_LANES_32 16
#elif defined(__AVX__)
#define SYM_LANES_32 8
#else
#define SYM_LANES_32 4
#endif
#define SYM_LANES_64 (SYM_LANES_32 / 2)
