/* when: \bsym_(exp|exp2|expm1|log|log1p|tanh|erf)f?\( */
/* Functions without branches or calls, for loops that the compiler vectorises. nan, infinities, the sign of zero and
   denormals are as IEEE 754 and C99 have them; errors, and the largest found, stand with each function. Each rounds as
   written: a fused multiply-add only where the processor has it, as the compiler is told not to contract by itself.
   Where glibc's vector functions were measured to be faster, a name here stands for one of them. */
#if defined(__FMA__) || defined(__FP_FAST_FMAF) || defined(__ARM_FEATURE_FMA)
#define SYM_FMAF(a, b, c) __builtin_fmaf(a, b, c)
#define SYM_FMA(a, b, c) __builtin_fma(a, b, c)
#else
#define SYM_FMAF(a, b, c) ((a) * (b) + (c))
#define SYM_FMA(a, b, c) ((a) * (b) + (c))
#endif
/* gcc wouldn't put a long polynomial into two loops, and a call stops vectorisation. */
#define SYM_INLINE static inline __attribute__((always_inline))
typedef union { float x; uint32_t bits; } sym_float;
typedef union { double x; uint64_t bits; } sym_double;
SYM_INLINE uint32_t sym_bitsf(float x) { return ((sym_float){.x = x}).bits; }
SYM_INLINE uint64_t sym_bits(double x) { return ((sym_double){.x = x}).bits; }
SYM_INLINE float sym_of_bitsf(uint32_t bits) { return ((sym_float){.bits = bits}).x; }
SYM_INLINE double sym_of_bits(uint64_t bits) { return ((sym_double){.bits = bits}).x; }

/* when: \bsym_(exp|expm1|tanh|erf)f\( */
/* (exp(r) - 1 - r) / r^2 for |r| <= log(2)/2 */
SYM_INLINE float sym_exp_restf(float x)
{
    float y = 0.00019915668f;
    y = SYM_FMAF(y, x, 0.0013942046f);
    y = SYM_FMAF(y, x, 0.00833327f);
    y = SYM_FMAF(y, x, 0.041666344f);
    y = SYM_FMAF(y, x, 0.16666667f);
    return SYM_FMAF(y, x, 0.5f);
}
/* Return exp(x) - 1 for |x| <= log(2)/2, n taken from x in two parts, the first one exact. */
SYM_INLINE float sym_expm1_reducedf(float x, float n)
{
    const float r = SYM_FMAF(n, -1.4286068e-06f, SYM_FMAF(n, -0.69314575f, x));
    return SYM_FMAF(r * r, sym_exp_restf(r), r);
}

/* when: \bsym_(exp|expm1|tanh)\( */
/* (exp(r) - 1 - r) / r^2 for |r| <= log(2)/2 */
SYM_INLINE double sym_exp_rest(double x)
{
    double y = 2.092549550602761e-09;
    y = SYM_FMA(y, x, 2.5110177134021693e-08);
    y = SYM_FMA(y, x, 2.755723933020978e-07);
    y = SYM_FMA(y, x, 2.755724116910549e-06);
    y = SYM_FMA(y, x, 2.4801587364595406e-05);
    y = SYM_FMA(y, x, 0.00019841269888887993);
    y = SYM_FMA(y, x, 0.0013888888888864781);
    y = SYM_FMA(y, x, 0.008333333333320656);
    y = SYM_FMA(y, x, 0.041666666666666706);
    y = SYM_FMA(y, x, 0.16666666666666677);
    return SYM_FMA(y, x, 0.5);
}
/* Return exp(x) - 1 for |x| <= log(2)/2, n taken from x in two parts, the first one exact. */
SYM_INLINE double sym_expm1_reduced(double x, double n)
{
    const double r = SYM_FMA(n, -1.9082149292705877e-10, SYM_FMA(n, -0.6931471803691238, x));
    return SYM_FMA(r * r, sym_exp_rest(r), r);
}

/* when: \bsym_expf\( */
/* exp(x) = 2^n exp(r). Adding 1.5 2^23 rounds to the integer n, which is then in the low bits (here with 254 on top: the
   bias of two exponents). 2^n has two factors, so that its range is that of the results. Largest error 1.0 ulp. */
#ifdef SYM_VECTOR_LIBM
#define sym_expf expf
#else
SYM_INLINE float sym_expf(float x)
{
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    const float z = SYM_FMAF(x, 1.442695f, 12583166.0f);
    const float y = sym_expm1_reducedf(x, z - 12583166.0f) + 1.0f;
    const uint32_t k = sym_bitsf(z), half = k >> 1;
    return y * sym_of_bitsf(half << 23) * sym_of_bitsf((k - half) << 23);
}
#endif

/* when: \bsym_exp\( */
/* As for float. Largest error 1.0 ulp. */
#ifdef SYM_VECTOR_LIBM
#define sym_exp exp
#else
SYM_INLINE double sym_exp(double x)
{
    x = x > 710.0 ? 710.0 : x;
    x = x < -746.0 ? -746.0 : x;
    const double z = SYM_FMA(x, 1.4426950408889634, 6755399441057790.0);
    const double y = sym_expm1_reduced(x, z - 6755399441057790.0) + 1.0;
    const uint64_t k = sym_bits(z), half = k >> 1;
    return y * sym_of_bits(half << 52) * sym_of_bits((k - half) << 52);
}
#endif

/* when: \bsym_exp2f\( */
/* (2^r - 1) / r for |r| <= 1/2 */
SYM_INLINE float sym_exp2_restf(float x)
{
    float y = 1.5314952e-05f;
    y = SYM_FMAF(y, x, 0.0001546711f);
    y = SYM_FMAF(y, x, 0.0013333431f);
    y = SYM_FMAF(y, x, 0.009618036f);
    y = SYM_FMAF(y, x, 0.05550411f);
    y = SYM_FMAF(y, x, 0.2402265f);
    return SYM_FMAF(y, x, 0.6931472f);
}
/* 2^x = 2^n 2^r, as exp. Largest error 1.1 ulp. */
#ifdef SYM_VECTOR_LIBM
#define sym_exp2f exp2f
#else
SYM_INLINE float sym_exp2f(float x)
{
    x = x > 129.0f ? 129.0f : x;
    x = x < -151.0f ? -151.0f : x;
    const float z = x + 12583166.0f, r = x - (z - 12583166.0f);
    const float y = SYM_FMAF(sym_exp2_restf(r), r, 1.0f);
    const uint32_t k = sym_bitsf(z), half = k >> 1;
    return y * sym_of_bitsf(half << 23) * sym_of_bitsf((k - half) << 23);
}
#endif

/* when: \bsym_expm1f\( */
/* expm1(x) = 2^n expm1(r) + (2^n - 1), through half of it: 2^n alone may overflow. Largest error 1.5 ulp. */
#ifdef SYM_WIDE_VECTOR_LIBM
#define sym_expm1f expm1f
#else
SYM_INLINE float sym_expm1f(float x)
{
    float a = x > 89.0f ? 89.0f : x;
    a = a < -20.0f ? -20.0f : a;
    const float z = SYM_FMAF(a, 1.442695f, 12583038.0f);
    const float s = sym_of_bitsf(sym_bitsf(z) << 23);
    const float y = SYM_FMAF(s, sym_expm1_reducedf(a, z - 12583038.0f), s - 0.5f);
    return __builtin_copysignf(2.0f * y, x);
}
#endif

/* when: \bsym_expm1\( */
/* As for float. Largest error 1.9 ulp. */
#ifdef SYM_WIDE_VECTOR_LIBM
#define sym_expm1 expm1
#else
SYM_INLINE double sym_expm1(double x)
{
    double a = x > 710.0 ? 710.0 : x;
    a = a < -40.0 ? -40.0 : a;
    const double z = SYM_FMA(a, 1.4426950408889634, 6755399441056766.0);
    const double s = sym_of_bits(sym_bits(z) << 52);
    const double y = SYM_FMA(s, sym_expm1_reduced(a, z - 6755399441056766.0), s - 0.5);
    return __builtin_copysign(2.0 * y, x);
}
#endif

/* when: \bsym_tanhf\( */
/* tanh(|x|) = -t / (t + 2) with t = expm1(-2|x|), which can't overflow and is exact near 0. Largest error 2.5 ulp. */
#ifdef SYM_WIDE_VECTOR_LIBM
#define sym_tanhf tanhf
#else
SYM_INLINE float sym_tanhf(float x)
{
    float a = __builtin_fabsf(x);
    a = a > 10.0f ? 10.0f : a;
    const float z = SYM_FMAF(a, -2.88539f, 12583039.0f);
    const float s = sym_of_bitsf(sym_bitsf(z) << 23);
    const float t = SYM_FMAF(s, sym_expm1_reducedf(-2.0f * a, z - 12583039.0f), s - 1.0f);
    return __builtin_copysignf(t / (t + 2.0f), x);
}
#endif

/* when: \bsym_tanh\( */
/* As for float. Largest error 2.5 ulp. */
SYM_INLINE double sym_tanh(double x)
{
    double a = __builtin_fabs(x);
    a = a > 20.0 ? 20.0 : a;
    const double z = SYM_FMA(a, -2.8853900817779268, 6755399441056767.0);
    const double s = sym_of_bits(sym_bits(z) << 52);
    const double t = SYM_FMA(s, sym_expm1_reduced(-2.0 * a, z - 6755399441056767.0), s - 1.0);
    return __builtin_copysign(t / (t + 2.0), x);
}

/* when: \bsym_log(1p)?f\( */
/* (log(1+f) - f + f^2/2) / f^3 for 1+f from sqrt(1/2) to sqrt(2) */
SYM_INLINE float sym_log_restf(float x)
{
    float y = 0.0693287f;
    y = SYM_FMAF(y, x, -0.11763255f);
    y = SYM_FMAF(y, x, 0.11849298f);
    y = SYM_FMAF(y, x, -0.12388427f);
    y = SYM_FMAF(y, x, 0.142231f);
    y = SYM_FMAF(y, x, -0.16669095f);
    y = SYM_FMAF(y, x, 0.20001942f);
    y = SYM_FMAF(y, x, -0.24999987f);
    return SYM_FMAF(y, x, 0.33333316f);
}
/* Return n log(2) + log(1 + f), log(2) in two parts. */
SYM_INLINE float sym_log_joinedf(float n, float f)
{
    const float s = f * f;
    const float y = SYM_FMAF(s * f, sym_log_restf(f), n * -0.00021219444f);
    return SYM_FMAF(n, 0.69335938f, SYM_FMAF(s, -0.5f, y) + f);
}

/* when: \bsym_log(1p)?\( */
/* (log(1+f) - f + f^2/2) / f^3 for 1+f from sqrt(1/2) to sqrt(2) */
SYM_INLINE double sym_log_rest(double x)
{
    double y = 0.02704158241809752;
    y = SYM_FMA(y, x, -0.06082430448755079);
    y = SYM_FMA(y, x, 0.06501905089343012);
    y = SYM_FMA(y, x, -0.0564037014950865);
    y = SYM_FMA(y, x, 0.05661278750448788);
    y = SYM_FMA(y, x, -0.062026275699329794);
    y = SYM_FMA(y, x, 0.06686171259811484);
    y = SYM_FMA(y, x, -0.07148901266884913);
    y = SYM_FMA(y, x, 0.07691368530886156);
    y = SYM_FMA(y, x, -0.08332944710647194);
    y = SYM_FMA(y, x, 0.09090933190043576);
    y = SYM_FMA(y, x, -0.1000001398925138);
    y = SYM_FMA(y, x, 0.11111110836334401);
    y = SYM_FMA(y, x, -0.124999997228577);
    y = SYM_FMA(y, x, 0.14285714285970014);
    y = SYM_FMA(y, x, -0.1666666666935295);
    y = SYM_FMA(y, x, 0.2000000000001213);
    y = SYM_FMA(y, x, -0.24999999999990957);
    return SYM_FMA(y, x, 0.33333333333333315);
}
/* Return n log(2) + log(1 + f), log(2) in two parts. */
SYM_INLINE double sym_log_joined(double n, double f)
{
    const double s = f * f;
    const double y = SYM_FMA(s * f, sym_log_rest(f), n * 1.9082149292705877e-10);
    return SYM_FMA(n, 0.6931471803691238, SYM_FMA(s, -0.5, y) + f);
}

/* when: \bsym_logf\( */
/* log(x) = n log(2) + log(1+f), 1+f from sqrt(1/2) to sqrt(2): the bits less those of sqrt(1/2) have n as their exponent.
   A denormal is scaled first. Largest error 0.9 ulp. */
#ifdef SYM_VECTOR_LIBM
#define sym_logf logf
#else
SYM_INLINE float sym_logf(float x)
{
    const float m = x < 1.1754944e-38f ? x * 8388608.0f : x, scaled = x < 1.1754944e-38f ? 23.0f : 0.0f;
    const uint32_t u = sym_bitsf(m) - 0x3f3504f3u;
    const float n = (float)((int32_t)u >> 23) - scaled;
    float y = sym_log_joinedf(n, sym_of_bitsf((u & 0x007fffffu) + 0x3f3504f3u) - 1.0f);
    y = x < __builtin_inff() ? y : x;
    return x > 0.0f ? y : x == 0.0f ? -__builtin_inff() : __builtin_nanf("");
}
#endif

/* when: \bsym_log\( */
/* As for float; few processors convert 64-bit integers, so n gets the exponent of 2^52 instead. Largest error 0.9 ulp. */
#ifdef SYM_VECTOR_LIBM
#define sym_log log
#else
SYM_INLINE double sym_log(double x)
{
    const double m = x < 2.2250738585072014e-308 ? x * 4503599627370496.0 : x;
    const double scaled = x < 2.2250738585072014e-308 ? 4503599627371572.0 : 4503599627371520.0;
    const uint64_t u = sym_bits(m) - 0x3fe6a09e667f3bcdu + ((uint64_t)1024 << 52);
    const double n = sym_of_bits(u >> 52 | 0x4330000000000000u) - scaled;
    double y = sym_log_joined(n, sym_of_bits((u & 0x000fffffffffffffu) + 0x3fe6a09e667f3bcdu) - 1.0);
    y = x < __builtin_inf() ? y : x;
    return x > 0.0 ? y : x == 0.0 ? -__builtin_inf() : __builtin_nan("");
}
#endif

/* when: \bsym_log1pf\( */
/* log1p(x) = n log(2) + log(1+f) where 1+f = 2^-n (1+x): f = 2^-n x + (2^-n - 1) rounds only once (four times that, since
   2^-128 isn't a normal number). Largest error 1.4 ulp. */
#ifdef SYM_NARROW_VECTOR_LIBM
#define sym_log1pf log1pf
#else
SYM_INLINE float sym_log1pf(float x)
{
    const int32_t n = (int32_t)(sym_bitsf(x + 1.0f) - 0x3f3504f3u) >> 23;
    const float t = sym_of_bitsf((uint32_t)(129 - n) << 23);
    float y = sym_log_joinedf((float)n, SYM_FMAF(x, t, t - 4.0f) * 0.25f);
    y = x < __builtin_inff() ? y : x;
    y = x > -1.0f ? y : x == -1.0f ? -__builtin_inff() : __builtin_nanf("");
    return __builtin_copysignf(y, x);
}
#endif

/* when: \bsym_log1p\( */
/* As for float. Largest error 1.4 ulp. */
#ifdef SYM_VECTOR_LIBM
#define sym_log1p log1p
#else
SYM_INLINE double sym_log1p(double x)
{
    const uint64_t u = (sym_bits(x + 1.0) - 0x3fe6a09e667f3bcdu + ((uint64_t)1024 << 52)) >> 52;
    const double n = sym_of_bits(u | 0x4330000000000000u) - 4503599627371520.0;
    const double t = sym_of_bits((2049 - u) << 52);
    double y = sym_log_joined(n, SYM_FMA(x, t, t - 4.0) * 0.25);
    y = x < __builtin_inf() ? y : x;
    y = x > -1.0 ? y : x == -1.0 ? -__builtin_inf() : __builtin_nan("");
    return __builtin_copysign(y, x);
}
#endif

/* when: \bsym_erff\( */
/* erf(x)/x - 1 over u = x^2 <= 1 */
SYM_INLINE float sym_erf_nearf(float x)
{
    float y = 7.889113e-05f;
    y = SYM_FMAF(y, x, -0.000802084f);
    y = SYM_FMAF(y, x, 0.005189535f);
    y = SYM_FMAF(y, x, -0.026854444f);
    y = SYM_FMAF(y, x, 0.112836f);
    y = SYM_FMAF(y, x, -0.37612626f);
    return SYM_FMAF(y, x, 0.12837917f);
}
/* log(1 - erf(x)) for x from 1 to 4 */
SYM_INLINE float sym_erf_farf(float x)
{
    float y = -2.1445436e-05f;
    y = SYM_FMAF(y, x, 0.0004385283f);
    y = SYM_FMAF(y, x, -0.0041908473f);
    y = SYM_FMAF(y, x, 0.025171785f);
    y = SYM_FMAF(y, x, -0.10836151f);
    y = SYM_FMAF(y, x, -0.63327247f);
    y = SYM_FMAF(y, x, -1.129552f);
    return SYM_FMAF(y, x, 0.00018245619f);
}
/* erf(x) = x + x P(x^2) up to 1, beyond 1 - exp(L(x)); from 4 on it is 1. Largest error 1.6 ulp. */
#ifdef SYM_NARROW_VECTOR_LIBM
#define sym_erff erff
#else
SYM_INLINE float sym_erff(float x)
{
    float a = __builtin_fabsf(x);
    a = a > 4.0f ? 4.0f : a;
    const float near = SYM_FMAF(sym_erf_nearf(a * a), a, a), l = sym_erf_farf(a);
    const float z = SYM_FMAF(l, 1.442695f, 12583039.0f);
    const float s = sym_of_bitsf(sym_bitsf(z) << 23);
    const float far = SYM_FMAF(-s, sym_expm1_reducedf(l, z - 12583039.0f), 1.0f - s);
    return __builtin_copysignf(a >= 1.0f ? far : near, x);
}
#endif
