/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ID_H
#define BASE_ID_H
#include <stdbool.h>
#include <stdint.h>

/*
 * Time-ordered identifiers: 20 characters of [0-9a-z], 8 for the millisecond of creation
 * (base 36), 12 random; a valid DNS label that sorts by time and is no secret.
 *
 * In memory and in the database an id is two integers that encode the same text. `key` is
 * 42 bits of milliseconds and the upper 21 of the 62 random bits: it rises with every id a
 * process makes, so that rows keyed by it append. `tail` is the whole random part.
 */
#define ID_LENGTH 20
#define ID_TEXT_SIZE (ID_LENGTH + 1)

struct id {
    int64_t key;
    int64_t tail;
};

/*
 * A new id for `wall_ms` from 62 `random` bits. Keys made by one process strictly rise, even
 * when the clock stands still or steps back. Safe from any thread.
 */
struct id id_make(int64_t wall_ms, uint64_t random);

/* Makes later ids come after `key`: called once at start with the newest stored key. */
void id_start_after(int64_t key);

void id_text(struct id id, char out[ID_TEXT_SIZE]);

/* False when `text` isn't exactly an id. */
bool id_parse(const char *text, struct id *out);

static inline int64_t id_created_ms(struct id id)
{
    return id.key >> 21;
}

/* No key made at `wall_ms` or later is smaller. */
static inline int64_t id_first_key(int64_t wall_ms)
{
    return wall_ms << 21;
}

/* The key and the tail say the same of the bits that both have. */
static inline bool id_is_whole(struct id id)
{
    return id.key > 0 && id.tail >= 0 && (id.key & 0x1fffff) == id.tail >> 41;
}

static inline bool id_equal(struct id a, struct id b)
{
    return a.key == b.key && a.tail == b.tail;
}
#endif
