/* Memory kept between calls: scratch blocks for the programs, spares of updated storages.
 *
 * A fresh large block costs a page fault for every 4 KiB at its first use, more than many programs
 * take to compute, so steady-state calls must get the memory they had before. All that is kept
 * counts towards one limit; beyond it memory is freed at once. Everything here is touched with the
 * GIL held, except `arena_take` on a call's own arena. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t kept_bytes, kept_limit;

static int keep(size_t bytes)
{
    if (bytes > kept_limit || kept_bytes > kept_limit - bytes)
        return 0;
    kept_bytes += bytes;
    return 1;
}

typedef struct block {
    struct block *next;
    size_t size, used; /* bytes after the header */
    char pad[64 - 3 * sizeof(size_t)];
} block;

_Static_assert(sizeof(block) == 64, "the header of a block keeps what follows it aligned");

/* The scratch memory of one call: a bump allocator over blocks, newest first. */
typedef struct {
    block *top;
    size_t total, peak; /* asked for now, and at most */
} arena;

enum { POOL_BLOCKS = 8 };
static block *pool[POOL_BLOCKS];
static int pool_count;

static block *block_new(size_t size)
{
    enum { HUGE_PAGE = 2 << 20 };
    void *memory;
    int large = size >= 2 * HUGE_PAGE;
    if (posix_memalign(&memory, large ? HUGE_PAGE : 64, sizeof(block) + size))
        return NULL;
#ifdef MADV_HUGEPAGE
    if (large) /* 512 times fewer faults and far fewer TLB misses */
        (void)madvise(memory, sizeof(block) + size, MADV_HUGEPAGE);
#endif
    block *out = memory;
    out->next = NULL;
    out->size = size;
    out->used = 0;
    return out;
}

/* `bytes` of 64-byte aligned memory; `hint` is what the whole call is likely to need. */
static void *arena_take(arena *from, int64_t bytes, size_t hint)
{
    enum { SMALL = 1 << 14 };
    if (bytes < 0 || bytes > INT64_MAX / 4)
        return NULL;
    size_t size = bytes ? ((size_t)bytes + 63) & ~(size_t)63 : 64;
    if (!from->top || from->top->size - from->top->used < size) {
        size_t wanted = from->top ? SMALL : hint;
        block *fresh = block_new(size > wanted ? size : wanted);
        if (!fresh && wanted > size)
            fresh = block_new(size);
        if (!fresh)
            return NULL;
        fresh->next = from->top;
        from->top = fresh;
    }
    void *out = (char *)(from->top + 1) + from->top->used;
    from->top->used += size;
    from->total += size;
    if (from->total > from->peak)
        from->peak = from->total;
    return out;
}

static symbolic_mark arena_mark(const arena *from)
{
    return (symbolic_mark){from->top, from->top ? (int64_t)from->top->used : 0, (int64_t)from->total};
}

/* Forget what was taken since; blocks that were added go, the first one stays for the next step. */
static void arena_rewind(arena *from, symbolic_mark to)
{
    while (from->top && from->top != to.block && from->top->next) {
        block *next = from->top->next;
        free(from->top);
        from->top = next;
    }
    if (from->top)
        from->top->used = from->top == to.block ? (size_t)to.used : 0;
    from->total = (size_t)to.total;
}

/* A kept block of at least `size` bytes, or NULL. */
static block *pool_take(size_t size)
{
    for (int i = pool_count; i-- > 0;) {
        block *found = pool[i];
        if (found->size < size)
            continue;
        pool[i] = pool[--pool_count];
        kept_bytes -= found->size;
        return found;
    }
    return NULL;
}

/* End of a call. Only a single block is worth keeping: after a chain the next call asks for all of
 * it at once. */
static void arena_release(arena *from)
{
    block *top = from->top;
    if (!top)
        return;
    if (!top->next && pool_count == POOL_BLOCKS) {
        int smallest = 0;
        for (int i = 1; i < pool_count; i++)
            if (pool[i]->size < pool[smallest]->size)
                smallest = i;
        kept_bytes -= pool[smallest]->size;
        free(pool[smallest]);
        pool[smallest] = pool[--pool_count];
    }
    if (!top->next && keep(top->size)) {
        top->used = 0;
        pool[pool_count++] = top;
        return;
    }
    while (top) {
        block *next = top->next;
        free(top);
        top = next;
    }
}

static void outputs_trim(void);

/* trim() -> int: free the kept blocks, return the bytes that are still kept (spares of
 * storages). */
static PyObject *py_trim(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    outputs_trim();
    while (pool_count) {
        block *last = pool[--pool_count];
        kept_bytes -= last->size;
        free(last);
    }
    return PyLong_FromSize_t(kept_bytes);
}

static PyObject *py_set_kept_limit(PyObject *Py_UNUSED(module), PyObject *arg)
{
    size_t limit = PyLong_AsSize_t(arg);
    if (limit == (size_t)-1 && PyErr_Occurred())
        return NULL;
    kept_limit = limit;
    Py_RETURN_NONE;
}

static void memory_init(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    kept_limit = pages > 0 && page > 0 ? (size_t)pages * (size_t)page / 4 : (size_t)1 << 30;
}
