/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/random.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

#include "base/secret.h"
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

/* --- Base 62 -------------------------------------------------------------------------- */

#define LIMBS 8               /* 32-bit parts of 256 bits, most significant first */
#define GROUP 5               /* digits per division */
#define GROUP_BASE 916132832u /* 62^GROUP, which fits 32 bits */

static uint32_t divide(uint32_t number[LIMBS])
{
    uint64_t rest = 0;

    for (int i = 0; i < LIMBS; i++) {
        rest = rest << 32 | number[i];
        number[i] = (uint32_t)(rest / GROUP_BASE);
        rest %= GROUP_BASE;
    }
    return (uint32_t)rest;
}

/* The 256 bits written as one number in base 62: each value has its own text, so nothing is
 * lost and nothing is favoured. */
void random_base62(char out[RANDOM_BASE62_LENGTH + 1])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz";
    uint32_t number[LIMBS];
    int at = RANDOM_BASE62_LENGTH;

    random_bytes(number, sizeof(number));
    out[at] = '\0';
    while (at > 0) {
        uint32_t group = divide(number);

        for (int i = 0; i < GROUP && at > 0; i++) {
            out[--at] = digits[group % 62];
            group /= 62;
        }
    }
    secret_wipe(number, sizeof(number));
}
