/* SPDX-License-Identifier: Apache-2.0 */
#include "failing_malloc.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

/* A checker's own malloc stays below this one, so that it sees every piece; we are called
 * before it can check anything. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#define UNCHECKED __attribute__((no_sanitize("address")))
#if defined(__SANITIZE_ADDRESS__)
#define BELOW(name) __interceptor_##name
#else
#define BELOW(name) __libc_##name
#endif
void *BELOW(malloc)(size_t size);
void *BELOW(calloc)(size_t count, size_t size);
void *BELOW(realloc)(void *old, size_t size);
void *BELOW(memalign)(size_t alignment, size_t size);
void BELOW(free)(void *memory);

static _Atomic int64_t left; /* allocations until the first that fails; 0: none does */
static _Atomic bool for_good;
static _Atomic int64_t refused;
static _Atomic int64_t live;
static _Thread_local bool spared;

void memory_fail_at(int64_t nth, bool lasting)
{
    atomic_store(&refused, 0);
    atomic_store(&for_good, lasting);
    atomic_store(&left, nth);
}

int64_t memory_back(void)
{
    atomic_store(&left, 0);
    return atomic_load(&refused);
}

int64_t memory_live(void)
{
    return atomic_load(&live);
}

void memory_spare(bool spare)
{
    spared = spare;
}

UNCHECKED static bool is_out(void)
{
    int64_t before = spared ? 0 : atomic_load(&left);
    bool out;

    while (before
           && !atomic_compare_exchange_weak(&left, &before, before > 1 ? before - 1 : for_good))
        ;
    out = before == 1;
    if (out) {
        atomic_fetch_add(&refused, 1);
        errno = ENOMEM;
    }
    return out;
}

UNCHECKED static void *counted(void *memory)
{
    if (memory)
        atomic_fetch_add(&live, 1);
    return memory;
}

UNCHECKED void *malloc(size_t size)
{
    return is_out() ? NULL : counted(BELOW(malloc)(size));
}

UNCHECKED void *calloc(size_t count, size_t size)
{
    return is_out() ? NULL : counted(BELOW(calloc)(count, size));
}

UNCHECKED void free(void *memory)
{
    if (!memory)
        return;
    atomic_fetch_sub(&live, 1);
    BELOW(free)(memory);
}

UNCHECKED void *realloc(void *old, size_t size)
{
    if (!old)
        return malloc(size);
    if (!size) {
        free(old);
        return NULL;
    }
    return is_out() ? NULL : BELOW(realloc)(old, size);
}

UNCHECKED void *memalign(size_t alignment, size_t size)
{
    return is_out() ? NULL : counted(BELOW(memalign)(alignment, size));
}

UNCHECKED void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

UNCHECKED int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *memory = memalign(alignment, size);

    if (!memory)
        return ENOMEM;
    *out = memory;
    return 0;
}
