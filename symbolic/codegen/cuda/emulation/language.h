/* CUDA's language for a C++ compiler: keywords, built-in variables and types, intrinsics. What it means that a kernel has
   many threads is in runtime.h, which this file needs to have been read. */
#pragma once
#include <math.h>
#include <cmath>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __align__(n) alignas(n)
/* Shared arrays lie in one section of the library, which is filled with nan before each block. */
#define __shared__ static __attribute__((section("emu_shared")))
#define EMU_DYNAMIC_SHARED(T, name) T *name = (T *)emu::dynamic_shared

#define __syncthreads() emu::barrier(__LINE__)
#define __syncwarp() emu::warp_meets(0xffffffffu, __LINE__)
#define __shfl_down_sync(mask, value, distance) emu::shuffle_down(mask, value, distance, __LINE__)
#define __shfl_xor_sync(mask, value, bits) emu::shuffle_xor(mask, value, bits, __LINE__)
#define __shfl_sync(mask, value, lane) emu::shuffle(mask, value, lane, __LINE__)
#define __ballot_sync(mask, holds) emu::ballot(mask, (holds) ? 1 : 0, __LINE__)

/* One thread of the machine runs all fibres, and blocks one after the other, so reading and writing are one step. */
template <class T> static inline T atomicAdd(T *target, T value)
{
    T old = *target;
    *target = old + value;
    return old;
}
template <class T> static inline T atomicMin(T *target, T value)
{
    T old = *target;
    if (value < old) *target = value;
    return old;
}
template <class T> static inline T atomicMax(T *target, T value)
{
    T old = *target;
    if (value > old) *target = value;
    return old;
}
template <class T> static inline T atomicExch(T *target, T value)
{
    T old = *target;
    *target = value;
    return old;
}
template <class T> static inline T atomicCAS(T *target, T expected, T value)
{
    T old = *target;
    if (old == expected) *target = value;
    return old;
}
static inline void __threadfence() {}
template <class T> static inline T __ldg(const T *p) { return *p; }

static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)(((unsigned long long)a * b) >> 32); }
static inline float __int_as_float(int bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static inline unsigned __float_as_uint(float x)
{
    unsigned bits;
    memcpy(&bits, &x, sizeof x);
    return bits;
}
