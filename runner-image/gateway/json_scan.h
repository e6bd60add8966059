/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_GATEWAY_JSON_SCAN_H
#define RUNNER_GATEWAY_JSON_SCAN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Finds a few numbers and short texts in JSON that comes in pieces, in memory that doesn't grow
 * with it. It is no validator: what isn't JSON yields nothing or something odd, never harm.
 *
 * Each scalar is told with its path: "usage.input_tokens", "[].model". Left out are those
 * deeper than SCAN_LEVELS, those below a key with an escape or a dot in it or too long, and
 * texts with an escape or too long.
 */
#define SCAN_LEVELS 6
#define SCAN_DEPTH_MAX 1024
#define SCAN_PATH_MAX 320
#define SCAN_TEXT_MAX 128

struct json_scan {
    /* All zeroes but these two is a scan at the start of a document. */
    void (*on_scalar)(void *ctx, const char *path, const char *text, bool is_text);
    void *ctx;

    enum { SCAN_BETWEEN, SCAN_STRING, SCAN_BARE, SCAN_BROKEN } state;
    bool key_next; /* a string that comes now is a key */
    bool escaped;  /* in a string, after a backslash */
    bool unfit;    /* the text so far can't be told: too long, or with an escape */
    unsigned depth;
    uint8_t arrays[SCAN_DEPTH_MAX / 8]; /* a bit for each level: an array, or an object */
    size_t base[SCAN_LEVELS + 1];       /* the path's length where each level's begins */
    char path[SCAN_PATH_MAX];
    size_t path_size;
    char text[SCAN_TEXT_MAX + 1];
    size_t text_size;
};

void json_scan_feed(struct json_scan *scan, const char *data, size_t size);
/* What comes next is another document. */
void json_scan_reset(struct json_scan *scan);
#endif
