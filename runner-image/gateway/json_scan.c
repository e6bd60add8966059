/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/json_scan.h"

#include <string.h>

/* Stands for a key that can't be told: no path that is looked for has it. */
#define UNFIT_KEY "\x01"

void json_scan_reset(struct json_scan *scan)
{
    scan->state = SCAN_BETWEEN;
    scan->key_next = false;
    scan->depth = 0;
    scan->path_size = 0;
    scan->path[0] = '\0';
}

/* --- Where we are ------------------------------------------------------------------------- */

static bool in_array(const struct json_scan *scan)
{
    unsigned level = scan->depth - 1;

    return scan->depth && (scan->arrays[level / 8] >> level % 8 & 1);
}

static void path_cut(struct json_scan *scan)
{
    if (scan->depth <= SCAN_LEVELS) {
        scan->path_size = scan->base[scan->depth];
        scan->path[scan->path_size] = '\0';
    }
}

static void path_add(struct json_scan *scan, const char *name, size_t size)
{
    size_t dot = scan->path_size ? 1 : 0;

    if (scan->path_size + dot + size >= sizeof(scan->path)) {
        scan->state = SCAN_BROKEN;
        return;
    }
    if (dot)
        scan->path[scan->path_size] = '.';
    memcpy(scan->path + scan->path_size + dot, name, size);
    scan->path_size += dot + size;
    scan->path[scan->path_size] = '\0';
}

static void enter(struct json_scan *scan, bool array)
{
    unsigned level = scan->depth;
    uint8_t bit = (uint8_t)(1U << level % 8);

    if (level >= SCAN_DEPTH_MAX) {
        scan->state = SCAN_BROKEN;
        return;
    }
    scan->arrays[level / 8] =
        (uint8_t)(array ? scan->arrays[level / 8] | bit : scan->arrays[level / 8] & ~bit);
    scan->depth++;
    scan->key_next = !array;
    if (scan->depth > SCAN_LEVELS)
        return;
    if (array)
        path_add(scan, "[]", 2);
    scan->base[scan->depth] = scan->path_size;
}

static void leave(struct json_scan *scan, bool array)
{
    if (!scan->depth || in_array(scan) != array) {
        scan->state = SCAN_BROKEN;
        return;
    }
    scan->depth--;
    scan->key_next = false;
    if (scan->depth)
        path_cut(scan);
    else
        json_scan_reset(scan);
}

/* --- What stands there -------------------------------------------------------------------- */

static void text_begin(struct json_scan *scan)
{
    scan->text_size = 0;
    scan->escaped = false;
    scan->unfit = false;
}

static void text_add(struct json_scan *scan, const char *data, size_t size)
{
    if (size > SCAN_TEXT_MAX - scan->text_size)
        scan->unfit = true;
    if (scan->unfit)
        return;
    memcpy(scan->text + scan->text_size, data, size);
    scan->text_size += size;
}

static void tell(struct json_scan *scan, bool is_text)
{
    if (scan->unfit || scan->depth > SCAN_LEVELS
        || memchr(scan->text, '\0', scan->text_size) != NULL)
        return;
    scan->text[scan->text_size] = '\0';
    scan->on_scalar(scan->ctx, scan->path, scan->text, is_text);
}

static void take_key(struct json_scan *scan)
{
    scan->key_next = false;
    if (scan->depth > SCAN_LEVELS)
        return;
    path_cut(scan);
    if (scan->unfit || memchr(scan->text, '.', scan->text_size)
        || memchr(scan->text, '[', scan->text_size) || memchr(scan->text, '\0', scan->text_size)
        || scan->text_size > SCAN_PATH_MAX / (SCAN_LEVELS + 1))
        path_add(scan, UNFIT_KEY, 1);
    else
        path_add(scan, scan->text, scan->text_size);
}

static void end_string(struct json_scan *scan)
{
    scan->state = SCAN_BETWEEN;
    if (scan->key_next)
        take_key(scan);
    else
        tell(scan, true);
}

static void end_bare(struct json_scan *scan)
{
    scan->state = SCAN_BETWEEN;
    tell(scan, false);
}

/* --- Byte by byte ------------------------------------------------------------------------- */

/* The bytes of a string up to and with its closing quote; returns how many. */
static size_t feed_string(struct json_scan *scan, const char *data, size_t size)
{
    size_t plain = 0;

    if (scan->escaped) {
        scan->escaped = false;
        return 1;
    }
    while (plain < size && data[plain] != '"' && data[plain] != '\\')
        plain++;
    text_add(scan, data, plain);
    if (plain == size)
        return size;
    if (data[plain] == '"') {
        end_string(scan);
    } else {
        scan->escaped = true;
        scan->unfit = true;
    }
    return plain + 1;
}

static void feed_between(struct json_scan *scan, char c)
{
    switch (c) {
    case ' ':
    case '\t':
    case '\r':
    case '\n':
        return;
    case '{':
    case '[':
        enter(scan, c == '[');
        return;
    case '}':
    case ']':
        leave(scan, c == ']');
        return;
    case ',':
        scan->key_next = scan->depth && !in_array(scan);
        return;
    case ':':
        scan->key_next = false;
        return;
    case '"':
        scan->state = SCAN_STRING;
        text_begin(scan);
        return;
    default:
        scan->state = SCAN_BARE;
        text_begin(scan);
        text_add(scan, &c, 1);
    }
}

static size_t feed_bare(struct json_scan *scan, char c)
{
    if (strchr(" \t\r\n,:]}[{\"", c) && c) {
        end_bare(scan);
        return 0; /* it is looked at again */
    }
    text_add(scan, &c, 1);
    return 1;
}

void json_scan_feed(struct json_scan *scan, const char *data, size_t size)
{
    size_t at = 0;

    while (at < size && scan->state != SCAN_BROKEN) {
        if (scan->state == SCAN_STRING)
            at += feed_string(scan, data + at, size - at);
        else if (scan->state == SCAN_BARE)
            at += feed_bare(scan, data[at]);
        else
            feed_between(scan, data[at++]);
    }
}
