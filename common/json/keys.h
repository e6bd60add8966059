/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JSON_KEYS_H
#define JSON_KEYS_H
#include <stddef.h>

/*
 * The keys of the objects that a parser is inside of, to tell a repeated one: innermost
 * last. A parser notes how many there are when an object opens, adds each key as it comes,
 * and asks when the object closes. Not thread-safe; starts as zeroes.
 */
struct json_key {
    const char *name; /* borrowed */
    size_t at;        /* where it stood: an offset or a line, as the parser likes */
};

struct json_keys {
    struct json_key *all;
    size_t count;
    size_t room;
};

#define scoped_json_keys __attribute__((cleanup(json_keys_done))) struct json_keys

void json_keys_done(struct json_keys *keys);
void json_keys_add(struct json_keys *keys, const char *name, size_t at);

/* The first that repeats an earlier one, among those from number `first` on; NULL when all
 * differ. Drops them either way: the answer is valid until the next add. */
const struct json_key *json_keys_close(struct json_keys *keys, size_t first);

/* A key as complaints show it: printable ASCII, at most 40 characters of it; two quotes
 * when it is empty. */
#define JSON_SHOWN_SIZE 48
void json_show_key(const char *name, char out[JSON_SHOWN_SIZE]);
#endif
