/* when: always */
/* What C's headers say where a compiler for GPUs has none. */
#ifdef __CUDACC_RTC__
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif
#ifndef NAN
#define NAN __int_as_float(0x7fffffff)
#endif
#define INT64_MIN (-9223372036854775807ll - 1)
#define UINT64_C(x) x##ull
#else
#include <stdint.h>
#include <math.h>
#endif
/* An index along a grid: dividing 64-bit integers takes a GPU several times as long, so they are for large arrays alone. */
#ifdef SYM_WIDE
typedef int64_t sym_index;
#else
typedef uint32_t sym_index;
#endif
#define SYM_FN static __device__ __forceinline__
#define SYM_MEMBER __device__ __forceinline__

/* when: sym_to_[iu]64 */
/* Integers of floats as processors of PCs make them, so that results are the same: nan and what is too large become the
   smallest integer, where a GPU would take zero or the nearest. */
SYM_FN int64_t sym_to_i64(double x)
{
    return x >= -9223372036854775808.0 && x < 9223372036854775808.0 ? (int64_t)x : INT64_MIN;
}
SYM_FN int64_t sym_to_i64f(float x)
{
    return x >= -9223372036854775808.0f && x < 9223372036854775808.0f ? (int64_t)x : INT64_MIN;
}
SYM_FN uint64_t sym_to_u64(double x)
{
    const bool small = x < 9223372036854775808.0;
    return (uint64_t)sym_to_i64(small ? x : x - 9223372036854775808.0) ^ (small ? 0 : UINT64_C(1) << 63);
}

/* when: sym_shuffle|sym_join|sym_sum_row */
/* The value that the lane `bits` away has; values of any size move as words of 32 bits. */
template <class T> SYM_FN T sym_shuffle(T x, int bits)
{
    enum { WORDS = (sizeof(T) + 3) / 4 };
    union { T value; unsigned word[WORDS]; } u;
    for (int k = 0; k < WORDS; k++) u.word[k] = 0;
    u.value = x;
    for (int k = 0; k < WORDS; k++) u.word[k] = __shfl_xor_sync(0xffffffffu, u.word[k], bits);
    return u.value;
}

/* when: sym_meet */
/* All threads of a row wait for each other: a warp, or the block where a row has several. */
#define sym_meet()                                                                                 \
    do {                                                                                           \
        if (blockDim.x > 32) __syncthreads();                                                      \
        else __syncwarp();                                                                         \
    } while (0)

/* when: sym_atomic_add */
SYM_FN void sym_atomic_add(float *p, float x) { atomicAdd(p, x); }
SYM_FN void sym_atomic_add(double *p, double x) { atomicAdd(p, x); }
SYM_FN void sym_atomic_add(int32_t *p, int32_t x) { atomicAdd(p, x); }
SYM_FN void sym_atomic_add(uint32_t *p, uint32_t x) { atomicAdd(p, x); }
SYM_FN void sym_atomic_add(int64_t *p, int64_t x) { atomicAdd((unsigned long long *)p, (unsigned long long)x); }
SYM_FN void sym_atomic_add(uint64_t *p, uint64_t x) { atomicAdd((unsigned long long *)p, (unsigned long long)x); }

/* when: sym_half */
/* float16 is for storage: arithmetic is in float32, or rounds after each operation. */
struct sym_half {
    uint16_t bits;
    sym_half() = default;
#ifdef __CUDA_ARCH__
    SYM_MEMBER sym_half(float x) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x)); }
    SYM_MEMBER sym_half(double x) { asm("cvt.rn.f16.f64 %0, %1;" : "=h"(bits) : "d"(x)); }
    SYM_MEMBER operator float() const
    {
        float x;
        asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
        return x;
    }
#else
    SYM_MEMBER sym_half(double x)
    {
        union { double x; uint64_t bits; } u = {x};
        const uint16_t sign = (uint16_t)(u.bits >> 48 & 0x8000);
        u.bits &= ~(UINT64_C(1) << 63);
        const int exponent = (int)(u.bits >> 52) - 1023; /* of |x|, which is less than 2^(exponent + 1) */
        if (u.bits >= (UINT64_C(0x7ff) << 52)) {
            bits = sign | (u.bits == (UINT64_C(0x7ff) << 52) ? 0x7c00 : 0x7e00);
            return;
        }
        /* adding 2^52 units of the last place that is kept rounds to a whole number of them, to even in the middle */
        const int last = exponent < -14 ? -24 : exponent - 10;
        const double unit = ldexp(1.0, last);
        const double scaled = exponent < -26 ? 0.0 : (u.x / unit + 4503599627370496.0) - 4503599627370496.0;
        const int whole = exponent > 15 ? 0 : (int)scaled;
        const uint32_t made = exponent > 15 ? 0x7c00 : exponent < -14 ? (uint32_t)whole
                                                                      : (uint32_t)whole + ((uint32_t)(exponent + 14) << 10);
        bits = sign | (uint16_t)(made > 0x7c00 ? 0x7c00 : made);
    }
    SYM_MEMBER sym_half(float x) : sym_half((double)x) {}
    SYM_MEMBER operator float() const
    {
        const int exponent = bits >> 10 & 31, fraction = bits & 1023;
        const float size = exponent == 31 ? (fraction ? NAN : INFINITY)
                           : exponent == 0 ? ldexpf((float)fraction, -24) : ldexpf((float)(fraction | 1024), exponent - 25);
        return bits & 0x8000 ? -size : size;
    }
#endif
    template <class T> SYM_MEMBER explicit sym_half(T x) : sym_half((double)x) {}
};
SYM_FN sym_half operator-(sym_half x) { return sym_half(-(float)x); }
SYM_FN sym_half operator+(sym_half x, sym_half y) { return sym_half((float)x + (float)y); }
SYM_FN sym_half operator-(sym_half x, sym_half y) { return sym_half((float)x - (float)y); }
SYM_FN sym_half operator*(sym_half x, sym_half y) { return sym_half((float)x * (float)y); }
SYM_FN sym_half operator/(sym_half x, sym_half y) { return sym_half((float)x / (float)y); }
