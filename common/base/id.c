/* SPDX-License-Identifier: Apache-2.0 */
#include "base/id.h"

#include <stdatomic.h>
#include <string.h>

#define TIME_DIGITS 8
#define RANDOM_DIGITS 12
#define KEY_RANDOM_BITS 21
#define RANDOM_BITS 62
#define LOW_BITS (RANDOM_BITS - KEY_RANDOM_BITS)
#define LAST_MS 2821109907455LL /* 36^8 - 1: the year 2059 */
#define LAST_KEY (LAST_MS << KEY_RANDOM_BITS)

static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
static _Atomic int64_t newest_key;

struct id id_make(int64_t wall_ms, uint64_t random)
{
    uint64_t tail = random & ((1ULL << RANDOM_BITS) - 1);
    int64_t ms = wall_ms < 0 ? 0 : wall_ms > LAST_MS ? LAST_MS : wall_ms;
    int64_t wanted = ms << KEY_RANDOM_BITS | (int64_t)(tail >> LOW_BITS);
    int64_t last = atomic_load(&newest_key);
    int64_t key;

    /* Within a millisecond, or behind a clock that stepped back, go on from the newest by a
     * small random stride, so that ids stay unguessable without leaving the order. */
    do {
        key = wanted > last ? wanted : last + 1 + (int64_t)(tail & 0xff);
    } while (!atomic_compare_exchange_weak(&newest_key, &last, key));

    return (struct id){
        .key = key,
        .tail = (int64_t)((((uint64_t)key & ((1ULL << KEY_RANDOM_BITS) - 1)) << LOW_BITS)
                          | (tail & ((1ULL << LOW_BITS) - 1))),
    };
}

void id_start_after(int64_t key)
{
    int64_t last = atomic_load(&newest_key);

    /* A damaged row must not push the keys past what has a text. */
    if (key > LAST_KEY)
        return;
    while (key > last && !atomic_compare_exchange_weak(&newest_key, &last, key))
        ;
}

static void put_base36(uint64_t value, char *out, int length)
{
    for (int i = length - 1; i >= 0; i--) {
        out[i] = digits[value % 36];
        value /= 36;
    }
}

void id_text(struct id id, char out[ID_TEXT_SIZE])
{
    put_base36((uint64_t)id_created_ms(id), out, TIME_DIGITS);
    put_base36((uint64_t)id.tail, out + TIME_DIGITS, RANDOM_DIGITS);
    out[ID_LENGTH] = '\0';
}

static bool take_base36(const char *text, int length, uint64_t *out)
{
    uint64_t value = 0;

    for (int i = 0; i < length; i++) {
        const char *at = text[i] ? strchr(digits, text[i]) : NULL;

        if (!at)
            return false;
        value = value * 36 + (uint64_t)(at - digits);
    }
    *out = value;
    return true;
}

bool id_parse(const char *text, struct id *out)
{
    uint64_t ms;
    uint64_t tail;

    if (!text || strnlen(text, ID_LENGTH + 1) != ID_LENGTH
        || !take_base36(text, TIME_DIGITS, &ms)
        || !take_base36(text + TIME_DIGITS, RANDOM_DIGITS, &tail) || tail >> RANDOM_BITS)
        return false;
    *out = (struct id){
        .key = (int64_t)(ms << KEY_RANDOM_BITS | tail >> LOW_BITS),
        .tail = (int64_t)tail,
    };
    return true;
}
