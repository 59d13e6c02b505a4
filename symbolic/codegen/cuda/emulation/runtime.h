/* Runs a CUDA kernel on one thread of a CPU, for tests without a GPU: one fibre per CUDA thread, blocks one after the other.

   A fibre runs until it waits at a barrier or a shuffle, so what kernels do between those is done by one thread after the
   other, in the order that the launch asks for. A kernel that needs no waiting runs without fibres. Mistakes end the launch
   with a text that names block and thread: an access outside of a buffer (their ends are guarded pages), barriers that not all
   threads reach, shuffles that lanes reach at different places, limits of a launch. Shared memory starts as nan. */
#pragma once
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <utility>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };
static uint3 threadIdx, blockIdx;
static dim3 blockDim, gridDim;
extern "C" char __start_emu_shared[] __attribute__((weak)), __stop_emu_shared[] __attribute__((weak));

namespace emu {

constexpr unsigned MOST_THREADS = 1024, LANES = 32;
constexpr size_t STACK = 64 * 1024, MOST_SHARED = 48 * 1024;
enum State { READY, AT_BARRIER, AT_SHUFFLE, DONE };

struct Fibre {
#if defined(__x86_64__)
    void *top;
#else
    ucontext_t context;
#endif
    char *stack;
    State state;
    int line;
    uint3 thread;
};

/* What lanes of a warp exchange. Values have two places, in turn: a fast lane may come to the next exchange before a slow one
   has taken the value of this one. */
struct Warp {
    unsigned arrived, meeting, given[2];
    int line;
    unsigned long long value[2][LANES];
};

static Fibre fibres[MOST_THREADS], host;
static Warp warps[MOST_THREADS / LANES];
static Fibre *current;
static unsigned threads, order[MOST_THREADS], random_state;
static char *dynamic_shared, message[600];
static bool in_fibre, failed;
static jmp_buf leave;
static void (*body)(void **);
static void **arguments;

#if defined(__x86_64__)
extern "C" void emu_switch(void **save, void *to);
__asm__(R"(
.text
.type emu_switch,@function
emu_switch:
    pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
    ret
.size emu_switch,.-emu_switch
)");
static inline void change(Fibre *from, Fibre *to) { emu_switch(&from->top, to->top); }
#else
static inline void change(Fibre *from, Fibre *to) { swapcontext(&from->context, &to->context); }
#endif

static void to_host() { change(current, &host); }

/* End the launch. A fibre may not jump over the host's stack, so it goes back there first. */
[[noreturn]] static void fail(const char *format, int a = 0, int b = 0)
{
    snprintf(message, sizeof message, format, a, b);
    const size_t n = strlen(message);
    snprintf(message + n, sizeof message - n, " [block (%u, %u, %u), thread (%u, %u, %u)]", blockIdx.x, blockIdx.y, blockIdx.z,
             threadIdx.x, threadIdx.y, threadIdx.z);
    if (!in_fibre) longjmp(leave, 1);
    failed = true;
    for (;;) to_host();
}

static void run_fibre()
{
    body(arguments);
    current->state = DONE;
    for (;;) to_host();
}

static void prepare(Fibre &f)
{
    if (!f.stack) f.stack = (char *)aligned_alloc(4096, STACK);
#if defined(__x86_64__)
    void **top = (void **)(f.stack + STACK);
    *--top = nullptr;
    *--top = (void *)run_fibre; /* where emu_switch returns to */
    for (int i = 0; i < 6; i++) *--top = nullptr;
    f.top = top;
#else
    getcontext(&f.context);
    f.context.uc_stack = {f.stack, 0, STACK};
    f.context.uc_link = nullptr;
    makecontext(&f.context, run_fibre, 0);
#endif
    f.state = READY;
}

static void wait_as(State state, int line)
{
    if (!in_fibre) fail("a barrier or shuffle at line %d in a kernel that was launched as if it had none", line);
    current->state = state;
    current->line = line;
    to_host();
}

static inline void barrier(int line) { wait_as(AT_BARRIER, line); }
static inline unsigned number() { return (unsigned)(current - fibres); }

/* Wait for all lanes in `mask` that exist; return which of the two places this exchange uses. */
static unsigned warp_meets(unsigned mask, int line, bool gives = false, unsigned long long value = 0)
{
    if (!in_fibre) fail("a shuffle at line %d in a kernel that was launched as if it had none", line);
    const unsigned first = number() / LANES * LANES, lane = number() % LANES;
    Warp &w = warps[number() / LANES];
    const unsigned meeting = w.meeting, place = meeting & 1, left = threads - first;
    const unsigned there = left >= LANES ? 0xffffffffu : (1u << left) - 1;
    if (!(mask >> lane & 1)) fail("line %d: a lane takes part in a shuffle whose mask leaves it out", line);
    if (w.arrived == 0) w.line = line, w.given[place] = 0;
    else if (w.line != line) fail("lanes of one warp meet in different shuffles, at lines %d and %d", w.line, line);
    if (gives) w.value[place][lane] = value;
    w.given[place] |= 1u << lane;
    w.arrived |= 1u << lane;
    if ((w.arrived & mask & there) == (mask & there)) {
        w.arrived = 0;
        w.meeting++;
        for (unsigned i = first; i < first + LANES && i < threads; i++)
            if (fibres[i].state == AT_SHUFFLE) fibres[i].state = READY;
    } else {
        while (w.meeting == meeting) wait_as(AT_SHUFFLE, line);
    }
    return place;
}

/* Exchange: a lane that takes from one that gave nothing gets nan, where a GPU gives anything. */
template <class T> static T exchange(unsigned mask, T value, int from, int line)
{
    static_assert(sizeof(T) <= 8, "a shuffle moves up to 8 bytes");
    unsigned long long bits = 0;
    memcpy(&bits, &value, sizeof value);
    Warp &w = warps[number() / LANES];
    const unsigned place = warp_meets(mask, line, true, bits);
    if (from < 0 || from >= (int)LANES) return value;
    T got;
    if (w.given[place] >> from & 1) memcpy(&got, &w.value[place][from], sizeof got);
    else memset((void *)&got, 0xFF, sizeof got);
    return got;
}
template <class T> static T shuffle(unsigned mask, T value, int from, int line)
{
    return exchange(mask, value, from & 31, line);
}
template <class T> static T shuffle_down(unsigned mask, T value, unsigned distance, int line)
{
    return exchange(mask, value, (int)(number() % LANES + distance), line);
}
template <class T> static T shuffle_xor(unsigned mask, T value, unsigned bits, int line)
{
    return exchange(mask, value, (int)(number() % LANES ^ bits), line);
}
static unsigned ballot(unsigned mask, int holds, int line)
{
    Warp &w = warps[number() / LANES];
    const unsigned place = warp_meets(mask, line, true, (unsigned)holds);
    unsigned all = 0;
    for (unsigned i = 0; i < LANES; i++)
        if (w.given[place] >> i & 1 && w.value[place][i]) all |= 1u << i;
    return all;
}

static unsigned random_below(unsigned n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (unsigned)((unsigned long long)(random_state >> 8) * n >> 24);
}

/* Orders: 0 from the first thread to the last, 1 the other way, more: shuffled anew after each barrier, warp by warp. */
static void shuffle_threads(int how)
{
    for (unsigned i = 0; i < threads; i++) order[i] = how == 1 ? threads - 1 - i : i;
    for (unsigned i = threads; how > 1 && i > 1; i--) std::swap(order[i - 1], order[random_below(i)]);
}

static uint3 place_of(unsigned i, const dim3 &size)
{
    return {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
}

/* All that haven't returned are at one barrier: let them go on. */
static void pass_barrier(int how)
{
    int line = 0;
    unsigned gone = 0;
    for (unsigned i = 0; i < threads; i++) {
        if (fibres[i].state == DONE) gone++;
        else if (line && line != fibres[i].line) fail("threads wait at different barriers, lines %d and %d", line, fibres[i].line);
        else line = fibres[i].line;
    }
    if (gone) fail("a barrier at line %d, after %d threads of the block have returned", line, (int)gone);
    for (unsigned i = 0; i < threads; i++) fibres[i].state = READY;
    shuffle_threads(how);
}

/* Run a thread until it waits or returns. */
static void resume(Fibre *f)
{
    current = f;
    threadIdx = f->thread;
    in_fibre = true;
    change(&host, f);
    in_fibre = false;
    if (failed) longjmp(leave, 1);
}

/* Run what can run, each thread once; or, for shuffled orders, one warp until all of it waits for others, then the next: so a warp
   may be at the next barrier before another one has done anything since the last. */
static bool run_ready(int how)
{
    bool moved = false;
    unsigned long long seen = 0;
    for (unsigned k = 0; k < threads; k++) {
        const unsigned warp = order[k] / LANES;
        if (how < 2) {
            if (fibres[order[k]].state != READY) continue;
            resume(&fibres[order[k]]);
            moved = true;
        }
        if (how < 2 || seen >> warp & 1) continue;
        seen |= 1ull << warp;
        for (bool again = true; again;) {
            again = false;
            for (unsigned j = 0; j < threads; j++) {
                if (order[j] / LANES != warp || fibres[order[j]].state != READY) continue;
                resume(&fibres[order[j]]);
                again = moved = true;
            }
        }
    }
    return moved;
}

static void run_block_in_fibres(int how)
{
    shuffle_threads(how);
    memset((void *)warps, 0, sizeof warps);
    for (unsigned i = 0; i < threads; i++) {
        prepare(fibres[i]);
        fibres[i].thread = place_of(i, blockDim);
    }
    for (;;) {
        const bool moved = run_ready(how);
        unsigned done = 0, waiting = 0;
        for (unsigned i = 0; i < threads; i++) done += fibres[i].state == DONE, waiting += fibres[i].state == AT_BARRIER;
        if (done == threads) return;
        if (waiting && waiting + done == threads) pass_barrier(how);
        else if (!moved) {
            unsigned i = 0;
            while (fibres[i].state == DONE) i++;
            threadIdx = fibres[i].thread;
            fail("threads wait for each other for ever; one of them at line %d", fibres[i].line);
        }
    }
}

static char signal_stack[65536];
static void on_fault(int number, siginfo_t *info, void *)
{
    const char *what = number == SIGILL ? "integers that overflow or are divided by zero, or an index beyond an array, in code"
                       : number == SIGFPE ? "an integer divided by zero in code" : "illegal access to memory";
    snprintf(message, sizeof message, "%s at %p [block (%u, %u, %u), thread (%u, %u, %u)]", what, info->si_addr, blockIdx.x,
             blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
    longjmp(leave, 2);
}

/* Turns a fault of memory into the end of the launch, as long as it lives. */
struct Faults {
    stack_t stack_before;
    struct sigaction segv_before, bus_before, ill_before, fpe_before;
    Faults()
    {
        stack_t own = {};
        own.ss_sp = signal_stack;
        own.ss_size = sizeof signal_stack;
        sigaltstack(&own, &stack_before);
        struct sigaction action = {};
        action.sa_sigaction = on_fault;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
        sigaction(SIGSEGV, &action, &segv_before);
        sigaction(SIGBUS, &action, &bus_before);
        sigaction(SIGILL, &action, &ill_before);
        sigaction(SIGFPE, &action, &fpe_before);
    }
    void end()
    {
        sigaction(SIGSEGV, &segv_before, nullptr);
        sigaction(SIGBUS, &bus_before, nullptr);
        sigaction(SIGILL, &ill_before, nullptr);
        sigaction(SIGFPE, &fpe_before, nullptr);
        sigaltstack(&stack_before, nullptr);
    }
};

static void check_launch(const unsigned *grid, const unsigned *block, size_t shared)
{
    if (threads == 0 || threads > MOST_THREADS || block[2] > 64) fail("a block can't have %d threads", (int)threads);
    if (grid[0] == 0 || grid[1] == 0 || grid[2] == 0) fail("a grid can't have no blocks");
    if (grid[0] > 0x7fffffffu || grid[1] > 65535 || grid[2] > 65535) fail("a grid can't have %d by %d blocks", (int)grid[0], (int)grid[1]);
    if (shared > MOST_SHARED) fail("%d bytes of shared memory: more than 48 KiB", (int)shared);
}

/* Run a kernel: 0, or 1 with `message` set. */
static int launch(void (*kernel)(void **), void **args, const unsigned *grid, const unsigned *block, size_t shared, int fibres_too,
                  int how)
{
    static Faults *faults;
    Faults own;
    faults = &own;
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    threads = block[0] * block[1] * block[2];
    failed = in_fibre = false;
    message[0] = 0;
    random_state = (unsigned)how;
    body = kernel;
    arguments = args;
    if (setjmp(leave)) {
        in_fibre = false;
        faults->end();
        return 1;
    }
    check_launch(grid, block, shared);
    free(dynamic_shared);
    dynamic_shared = shared ? (char *)aligned_alloc(16, (shared + 15) / 16 * 16) : nullptr;
    const unsigned long long blocks = (unsigned long long)grid[0] * grid[1] * grid[2];
    for (unsigned long long q = 0; q < blocks; q++) {
        const unsigned long long i = how == 0 ? q : blocks - 1 - q;
        blockIdx = {(unsigned)(i % grid[0]), (unsigned)(i / grid[0] % grid[1]), (unsigned)(i / ((unsigned long long)grid[0] * grid[1]))};
        if (__start_emu_shared) memset(__start_emu_shared, 0xFF, (size_t)(__stop_emu_shared - __start_emu_shared));
        if (shared) memset(dynamic_shared, 0xFF, shared);
        if (fibres_too) {
            run_block_in_fibres(how);
            continue;
        }
        for (unsigned t = 0; t < threads; t++) {
            threadIdx = place_of(how == 0 ? t : threads - 1 - t, blockDim);
            kernel(args);
        }
    }
    faults->end();
    return 0;
}

/* A kernel as a function of pointers to its arguments. */
template <auto K> struct Call;
template <class... A, void (*K)(A...)> struct Call<K> {
    template <size_t... I> static inline void with(void **p, std::index_sequence<I...>) { K(*(std::decay_t<A> *)p[I]...); }
    static void call(void **p) { with(p, std::index_sequence_for<A...>{}); }
};

} // namespace emu

extern "C" __attribute__((used)) const char *emu_message() { return emu::message; }
#define EMU_EXPORT(K)                                                                                                       \
    extern "C" int emu_launch_##K(void **args, const unsigned *grid, const unsigned *block, size_t shared, int fibres, int how) \
    {                                                                                                                       \
        return emu::launch(emu::Call<K>::call, args, grid, block, shared, fibres, how);                                     \
    }
