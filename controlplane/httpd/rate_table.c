/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/rate_table.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "crypto/random.h"

/*
 * A bucket is one number: the moment at which it will be full again (the generic cell rate
 * algorithm). Each request moves it on by the time that one token takes to come back; it may
 * lie ahead by as long as the whole burst takes. So nothing has to be refilled, and an empty
 * place in the table is a full bucket.
 *
 * Names are known by a keyed hash of 64 bits, so nobody outside can make two of them meet.
 */
#define WAYS 8   /* places that one name may have */
#define LOCKS 16 /* a thread that is put aside with one shouldn't stop the others */
#define US_PER_MINUTE INT64_C(60000000)
#define US_PER_S 1000000
#define SECONDS_MAX 31536000 /* more isn't told */

struct bucket {
    uint64_t name; /* 0: free */
    int64_t full_us;
};

struct rate_table {
    uint64_t key[2];
    size_t n_sets; /* a power of two */
    pthread_mutex_t locks[LOCKS];
    struct bucket buckets[];
};

struct rate_table *rate_table_new(size_t names)
{
    struct rate_table *table;
    size_t n_sets = 1;

    while (n_sets * WAYS < names)
        n_sets *= 2;
    table = xcalloc(1, sizeof(*table) + n_sets * WAYS * sizeof(struct bucket));
    table->n_sets = n_sets;
    random_bytes(table->key, sizeof(table->key));
    for (size_t i = 0; i < LOCKS; i++)
        (void)pthread_mutex_init(&table->locks[i], NULL);
    return table;
}

void rate_table_free(struct rate_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < LOCKS; i++)
        (void)pthread_mutex_destroy(&table->locks[i]);
    free(table);
}

/* --- Names --------------------------------------------------------------------------------
 * SipHash-1-3: https://www.aumasson.jp/siphash/siphash.pdf */

static uint64_t rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

static uint64_t hash_of(const struct rate_table *table, const void *name, size_t size)
{
    const uint8_t *bytes = name;
    uint64_t v[4] = {
        table->key[0] ^ 0x736f6d6570736575,
        table->key[1] ^ 0x646f72616e646f6d,
        table->key[0] ^ 0x6c7967656e657261,
        table->key[1] ^ 0x7465646279746573,
    };
    uint64_t last = (uint64_t)size << 56;
    uint64_t word;
    size_t at = 0;
    uint64_t hash;

    for (; at + sizeof(word) <= size; at += sizeof(word)) {
        memcpy(&word, bytes + at, sizeof(word));
        sip_word(v, word);
    }
    for (size_t i = 0; at + i < size; i++)
        last |= (uint64_t)bytes[at + i] << (8 * i);
    sip_word(v, last);
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    hash = v[0] ^ v[1] ^ v[2] ^ v[3];
    return hash ? hash : 1;
}

/* --- Buckets ------------------------------------------------------------------------------ */

/* Called with the lock of the set. The name's own bucket, else the one that is missed least. */
static struct bucket *find(struct bucket *set, uint64_t name)
{
    struct bucket *least = set;

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].name == name)
            return &set[i];
        if (set[i].full_us < least->full_us)
            least = &set[i];
    }
    return least;
}

static int whole_seconds(int64_t us)
{
    int64_t seconds = us > 0 ? (us + US_PER_S - 1) / US_PER_S : 0;

    return seconds > SECONDS_MAX ? SECONDS_MAX : (int)seconds;
}

/* From when it is full now to when it would be after one more. */
static int64_t judge(int64_t full_us, const struct rate_limit *limit, int64_t now_us,
                     bool counting, struct rate_state *out)
{
    int64_t burst = limit->burst > 0 ? limit->burst : limit->per_minute;
    /* Rounded up: over a minute it is never more than was said. */
    int64_t one_us = (US_PER_MINUTE + limit->per_minute - 1) / limit->per_minute;
    int64_t all_us = burst * one_us;
    int64_t after_us = (full_us > now_us ? full_us : now_us) + one_us;

    *out = (struct rate_state){.limit = burst, .allowed = after_us - now_us <= all_us};
    if (!out->allowed)
        out->retry_after_s = whole_seconds(after_us - now_us - all_us);
    if (out->allowed && counting)
        full_us = after_us;
    if (full_us < now_us)
        full_us = now_us;
    out->remaining = (all_us - (full_us - now_us)) / one_us;
    out->reset_s = whole_seconds(full_us - now_us);
    return full_us;
}

static void ask(struct rate_table *table, const void *name, size_t size,
                const struct rate_limit *limit, int64_t now_ms, bool counting,
                struct rate_state *out)
{
    uint64_t hash = hash_of(table, name, size);
    size_t at = (hash >> 32) & (table->n_sets - 1);
    pthread_mutex_t *lock = &table->locks[at % LOCKS];
    struct bucket *bucket;
    int64_t full_us;

    (void)pthread_mutex_lock(lock);
    bucket = find(&table->buckets[at * WAYS], hash);
    full_us = bucket->name == hash ? bucket->full_us : 0;
    full_us = judge(full_us, limit, now_ms * 1000, counting, out);
    if (counting && out->allowed)
        *bucket = (struct bucket){.name = hash, .full_us = full_us};
    (void)pthread_mutex_unlock(lock);
}

void rate_table_take(struct rate_table *table, const void *name, size_t size,
                     const struct rate_limit *limit, int64_t now_ms, struct rate_state *out)
{
    ask(table, name, size, limit, now_ms, true, out);
}

void rate_table_look(struct rate_table *table, const void *name, size_t size,
                     const struct rate_limit *limit, int64_t now_ms, struct rate_state *out)
{
    ask(table, name, size, limit, now_ms, false, out);
}
