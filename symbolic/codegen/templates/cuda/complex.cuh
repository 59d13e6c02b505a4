/* when: sym_complex */
/* C's complex numbers, which CUDA's language hasn't. Products are as NumPy's; quotients by Smith's method. */
template <class T> struct sym_cplx {
    T re, im;
    sym_cplx() = default;
    SYM_MEMBER sym_cplx(T re, T im) : re(re), im(im) {}
    template <class U> SYM_MEMBER explicit sym_cplx(U x) : re((T)x), im(0) {}
    template <class U> SYM_MEMBER explicit sym_cplx(sym_cplx<U> z) : re((T)z.re), im((T)z.im) {}
};
typedef sym_cplx<float> sym_complex64;
typedef sym_cplx<double> sym_complex128;
SYM_FN sym_complex64 sym_complexf(float re, float im) { return sym_complex64(re, im); }
SYM_FN sym_complex128 sym_complex(double re, double im) { return sym_complex128(re, im); }
template <class T> SYM_FN sym_cplx<T> operator+(sym_cplx<T> a, sym_cplx<T> b) { return sym_cplx<T>(a.re + b.re, a.im + b.im); }
template <class T> SYM_FN sym_cplx<T> operator-(sym_cplx<T> a, sym_cplx<T> b) { return sym_cplx<T>(a.re - b.re, a.im - b.im); }
template <class T> SYM_FN sym_cplx<T> operator-(sym_cplx<T> a) { return sym_cplx<T>(-a.re, -a.im); }
template <class T> SYM_FN sym_cplx<T> operator*(sym_cplx<T> a, sym_cplx<T> b)
{
    return sym_cplx<T>(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re);
}
template <class T> SYM_FN sym_cplx<T> operator/(sym_cplx<T> a, sym_cplx<T> b)
{
    const T x = b.re < 0 ? -b.re : b.re, y = b.im < 0 ? -b.im : b.im;
    if (x >= y) {
        if (x == 0 && y == 0) return sym_cplx<T>(a.re / x, a.im / x);
        const T ratio = b.im / b.re, scale = (T)1 / (b.re + b.im * ratio);
        return sym_cplx<T>((a.re + a.im * ratio) * scale, (a.im - a.re * ratio) * scale);
    }
    const T ratio = b.re / b.im, scale = (T)1 / (b.im + b.re * ratio);
    return sym_cplx<T>((a.re * ratio + a.im) * scale, (a.im * ratio - a.re) * scale);
}
template <class T> SYM_FN bool operator==(sym_cplx<T> a, sym_cplx<T> b) { return a.re == b.re && a.im == b.im; }
template <class T> SYM_FN bool operator!=(sym_cplx<T> a, sym_cplx<T> b) { return a.re != b.re || a.im != b.im; }
template <class T> SYM_FN bool operator!=(sym_cplx<T> a, int b) { return a.re != b || a.im != 0; }
SYM_FN float crealf(sym_complex64 z) { return z.re; }
SYM_FN double creal(sym_complex128 z) { return z.re; }
SYM_FN float cimagf(sym_complex64 z) { return z.im; }
SYM_FN double cimag(sym_complex128 z) { return z.im; }
SYM_FN sym_complex64 conjf(sym_complex64 z) { return sym_complex64(z.re, -z.im); }
SYM_FN sym_complex128 conj(sym_complex128 z) { return sym_complex128(z.re, -z.im); }
SYM_FN float cabsf(sym_complex64 z) { return hypotf(z.re, z.im); }
SYM_FN double cabs(sym_complex128 z) { return hypot(z.re, z.im); }

/* when: \bc(sqrt|exp|log|sin|cos|tan|asin|acos|atan|sinh|cosh|tanh|asinh|acosh|atanh|pow)f?\( */
/* Functions, all in double. Formulas: W. Kahan, "Branch cuts for complex elementary functions", 1987. */
static __device__ sym_complex128 sym_csqrt(sym_complex128 z)
{
    const double x = z.re, y = z.im;
    if (x == 0 && y == 0) return sym_complex128(0.0, y);
    if (isinf(y)) return sym_complex128(INFINITY, y);
    if (isinf(x)) {
        const double other = y != y ? y : copysign(0.0, y);
        return x > 0 ? sym_complex128(x, other) : sym_complex128(y != y ? y : 0.0, copysign((double)INFINITY, y));
    }
    const bool large = fabs(x) > 1e300 || fabs(y) > 1e300, small = fabs(x) < 1e-290 && fabs(y) < 1e-290;
    const double scale = large ? 0.0625 : small ? 0x1p108 : 1.0, back = large ? 4.0 : small ? 0x1p-54 : 1.0;
    const double a = x * scale, b = y * scale, t = sqrt((fabs(a) + hypot(a, b)) * 0.5);
    if (a >= 0) return sym_complex128(t * back, b / (2 * t) * back);
    return sym_complex128(fabs(b) / (2 * t) * back, copysign(t, b) * back);
}
static __device__ sym_complex128 sym_cexp(sym_complex128 z)
{
    if (z.im == 0) return sym_complex128(exp(z.re), z.im);
    if (!isfinite(z.im) && isinf(z.re)) return z.re < 0 ? sym_complex128(0.0, 0.0) : sym_complex128(INFINITY, z.im - z.im);
    const double c = cos(z.im), s = sin(z.im);
    if (z.re > 709.0 && !isinf(z.re)) { /* in two factors, since the result may be finite */
        const double e = exp(z.re * 0.5);
        return sym_complex128(e * c * e, e * s * e);
    }
    const double e = exp(z.re);
    return sym_complex128(e * c, e * s);
}
static __device__ sym_complex128 sym_clog(sym_complex128 z)
{
    const double a = fabs(z.re), b = fabs(z.im), large = a > b ? a : b, less = a > b ? b : a;
    const double angle = atan2(z.im, z.re);
    if (large > 0.5 && large < 2.0) /* log |z| near 1, without cancellation */
        return sym_complex128(0.5 * log1p((large - 1) * (large + 1) + less * less), angle);
    const double size = hypot(a, b);
    if (isinf(size) && !isinf(large)) return sym_complex128(log(hypot(a * 0.5, b * 0.5)) + 0.6931471805599453, angle);
    return sym_complex128(log(size), angle);
}
static __device__ sym_complex128 sym_csinh(sym_complex128 z)
{
    if (z.im == 0) return sym_complex128(sinh(z.re), z.im);
    if (z.re == 0) return sym_complex128(z.re, sin(z.im));
    return sym_complex128(sinh(z.re) * cos(z.im), cosh(z.re) * sin(z.im));
}
static __device__ sym_complex128 sym_ccosh(sym_complex128 z)
{
    if (z.im == 0) return sym_complex128(cosh(z.re), z.re * z.im);
    if (z.re == 0) return sym_complex128(cos(z.im), z.re * sin(z.im));
    return sym_complex128(cosh(z.re) * cos(z.im), sinh(z.re) * sin(z.im));
}
static __device__ sym_complex128 sym_ctanh(sym_complex128 z)
{
    if (fabs(z.re) > 22.0) {
        const double e = exp(-fabs(z.re));
        return sym_complex128(copysign(1.0, z.re), isinf(z.im) ? copysign(0.0, z.im) : 4 * sin(z.im) * cos(z.im) * e * e);
    }
    const double t = tan(z.im), beta = 1 + t * t, s = sinh(z.re), rho = sqrt(1 + s * s);
    if (isinf(t)) return sym_complex128(rho / s, 1 / t);
    const double below = 1 + beta * s * s;
    return sym_complex128(beta * rho * s / below, t / below);
}
static __device__ sym_complex128 sym_casin(sym_complex128 z)
{
    const sym_complex128 a = sym_csqrt(sym_complex128(1 - z.re, -z.im)), b = sym_csqrt(sym_complex128(1 + z.re, z.im));
    return sym_complex128(atan2(z.re, a.re * b.re - a.im * b.im), asinh(a.re * b.im - a.im * b.re));
}
static __device__ sym_complex128 sym_cacos(sym_complex128 z)
{
    const sym_complex128 a = sym_csqrt(sym_complex128(1 - z.re, -z.im)), b = sym_csqrt(sym_complex128(1 + z.re, z.im));
    return sym_complex128(2 * atan2(a.re, b.re), asinh(b.re * a.im - b.im * a.re));
}
static __device__ sym_complex128 sym_cacosh(sym_complex128 z)
{
    const sym_complex128 a = sym_csqrt(sym_complex128(z.re - 1, z.im)), b = sym_csqrt(sym_complex128(z.re + 1, z.im));
    return sym_complex128(asinh(a.re * b.re + a.im * b.im), 2 * atan2(a.im, b.re));
}
static __device__ sym_complex128 sym_catanh(sym_complex128 z)
{
    const double x = fabs(z.re), y = z.im, one = 1 - x;
    const double re = 0.25 * log1p(4 * x / (one * one + y * y)), im = 0.5 * atan2(2 * y, one * (1 + x) - y * y);
    return sym_complex128(copysign(re, z.re), im);
}
static __device__ sym_complex128 sym_turned(sym_complex128 z) { return sym_complex128(-z.im, z.re); } /* i z */
static __device__ sym_complex128 sym_back(sym_complex128 z) { return sym_complex128(z.im, -z.re); }   /* -i z */
static __device__ sym_complex128 sym_cpow(sym_complex128 x, sym_complex128 y)
{
    if (y.re == 0 && y.im == 0) return sym_complex128(1.0, 0.0);
    if (x.re == 0 && x.im == 0) return y.re > 0 ? sym_complex128(0.0, 0.0) : sym_complex128(NAN, NAN);
    return sym_cexp(y * sym_clog(x));
}
#define SYM_COMPLEX_FUNCTION(name, value)                                                          \
    static __device__ sym_complex128 name(sym_complex128 z) { return value; }                      \
    static __device__ sym_complex64 name##f(sym_complex64 small)                                   \
    {                                                                                              \
        const sym_complex128 z(small);                                                             \
        return sym_complex64(value);                                                               \
    }
SYM_COMPLEX_FUNCTION(csqrt, sym_csqrt(z))
SYM_COMPLEX_FUNCTION(cexp, sym_cexp(z))
SYM_COMPLEX_FUNCTION(clog, sym_clog(z))
SYM_COMPLEX_FUNCTION(csinh, sym_csinh(z))
SYM_COMPLEX_FUNCTION(ccosh, sym_ccosh(z))
SYM_COMPLEX_FUNCTION(ctanh, sym_ctanh(z))
SYM_COMPLEX_FUNCTION(csin, sym_back(sym_csinh(sym_turned(z))))
SYM_COMPLEX_FUNCTION(ccos, sym_ccosh(sym_turned(z)))
SYM_COMPLEX_FUNCTION(ctan, sym_back(sym_ctanh(sym_turned(z))))
SYM_COMPLEX_FUNCTION(casin, sym_casin(z))
SYM_COMPLEX_FUNCTION(cacos, sym_cacos(z))
SYM_COMPLEX_FUNCTION(cacosh, sym_cacosh(z))
SYM_COMPLEX_FUNCTION(catanh, sym_catanh(z))
SYM_COMPLEX_FUNCTION(casinh, sym_back(sym_casin(sym_turned(z))))
SYM_COMPLEX_FUNCTION(catan, sym_back(sym_catanh(sym_turned(z))))
static __device__ sym_complex64 sym_cpowf(sym_complex64 x, sym_complex64 y)
{
    return sym_complex64(sym_cpow(sym_complex128(x), sym_complex128(y)));
}
