/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/random.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

#include "base/secret.h"
#include "crypto/digest.h"
#include "crypto/must.h"

/*
 * A system call per token would be the dearest part of making one, so each thread keeps a
 * small stock. Bytes that were handed out are wiped from it, and a child of fork throws its
 * copy of the parent's stock away.
 */
#define STOCK_SIZE 512

struct stock {
    size_t left; /* at the front; taken from the end */
    unsigned forks;
    uint8_t bytes[STOCK_SIZE];
};

static _Thread_local struct stock stock;
static _Atomic unsigned forks;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void count_fork(void)
{
    atomic_fetch_add(&forks, 1);
}

static void watch_forks(void)
{
    crypto_must(pthread_atfork(NULL, NULL, count_fork) == 0, "pthread_atfork");
}

static void fill(uint8_t *out, size_t count)
{
    while (count) {
        ssize_t got = getrandom(out, count, 0);

        if (got < 0 && errno == EINTR)
            continue;
        crypto_must(got > 0, "getrandom");
        out += got;
        count -= (size_t)got;
    }
}

void random_bytes(void *out, size_t count)
{
    unsigned now;

    if (count > STOCK_SIZE / 4) {
        fill(out, count);
        return;
    }
    (void)pthread_once(&once, watch_forks);
    now = atomic_load_explicit(&forks, memory_order_relaxed);
    if (stock.left < count || stock.forks != now) {
        fill(stock.bytes, STOCK_SIZE);
        stock.left = STOCK_SIZE;
        stock.forks = now;
    }
    stock.left -= count;
    memcpy(out, stock.bytes + stock.left, count);
    secret_wipe(stock.bytes + stock.left, count);
}

uint64_t random_u64(void)
{
    uint64_t value;

    random_bytes(&value, sizeof(value));
    return value;
}

void random_base62(char out[RANDOM_BASE62_LENGTH + 1])
{
    uint8_t bytes[32];

    random_bytes(bytes, sizeof(bytes));
    base62_256(bytes, out);
    secret_wipe(bytes, sizeof(bytes));
}
