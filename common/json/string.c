/* SPDX-License-Identifier: Apache-2.0 */
#include "json/parser.h"

#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits after \u, or -1. */
static int hex4(const char *text)
{
    int value = 0;

    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(text[i]);

        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* One unit of UTF-16, as \uXXXX at `at`; -1 when that isn't what stands there. */
static int unit_at(const struct json_parser *p, size_t at)
{
    if (p->size - at < 6 || p->text[at] != '\\' || p->text[at + 1] != 'u')
        return -1;
    return hex4(p->text + at + 2);
}

static bool is_high_surrogate(int unit)
{
    return (unit & ~0x3ff) == 0xd800;
}

static bool is_low_surrogate(int unit)
{
    return (unit & ~0x3ff) == 0xdc00;
}

static int scan_unicode_escape(struct json_parser *p)
{
    int unit = unit_at(p, p->at);

    if (unit < 0)
        return json_complain_at(p, p->at, "expected four hex digits after \\u");
    if (unit == 0)
        return json_complain_at(p, p->at, "a string can't hold NUL");
    if (is_low_surrogate(unit)
        || (is_high_surrogate(unit) && !is_low_surrogate(unit_at(p, p->at + 6))))
        return json_complain_at(p, p->at, "half of a surrogate pair");
    p->at += is_high_surrogate(unit) ? 12 : 6;
    return 0;
}

static int scan_escape(struct json_parser *p)
{
    char kind = p->at + 1 < p->size ? p->text[p->at + 1] : '\0';

    if (kind == 'u')
        return scan_unicode_escape(p);
    if (!kind || !strchr("\"\\/bfnrt", kind))
        return json_complain_at(p, p->at, "unknown escape in a string");
    p->at += 2;
    return 0;
}

/* Past the bytes that stand for themselves, which are most: a loop of its own, for speed. */
static void skip_plain(struct json_parser *p)
{
    const char *text = p->text;
    size_t size = p->size;
    size_t at = p->at;

    while (at < size && text[at] >= 0x20 && text[at] < 0x7f && text[at] != '"'
           && text[at] != '\\')
        at++;
    p->at = at;
}

/* One character that skip_plain stopped at. */
static int scan_special(struct json_parser *p, bool *out_escapes)
{
    unsigned char c = (unsigned char)p->text[p->at];
    size_t length;

    if (c == '\\') {
        *out_escapes = true;
        return scan_escape(p);
    }
    if (c < 0x20)
        return json_complain_at(p, p->at, "control character 0x%02x in a string", c);
    length = utf8_first(p->text + p->at, p->size - p->at);
    if (!length)
        return json_complain_at(p, p->at, "not UTF-8");
    p->at += length;
    return 0;
}

/* Moves on to the closing quote. What lies between may then be copied without checks. */
static int scan_string(struct json_parser *p, bool *out_escapes)
{
    size_t start = p->at;

    for (;;) {
        skip_plain(p);
        if (p->at == p->size)
            return json_complain_at(p, start - 1, "a string without an end");
        if (p->text[p->at] == '"')
            return 0;
        if (scan_special(p, out_escapes) < 0)
            return -1;
    }
}

static char unescaped(char kind)
{
    switch (kind) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return kind;
    }
}

/* `in` went through scan_string. Never longer than it was. */
static void copy_unescaped(char *out, const char *in, size_t size)
{
    const char *end = in + size;

    while (in < end) {
        uint32_t unit;

        if (*in != '\\') {
            *out++ = *in++;
            continue;
        }
        if (in[1] != 'u') {
            *out++ = unescaped(in[1]);
            in += 2;
            continue;
        }
        unit = (uint32_t)hex4(in + 2);
        if (is_high_surrogate((int)unit)) {
            unit = 0x10000 + ((unit & 0x3ff) << 10) + ((uint32_t)hex4(in + 8) & 0x3ff);
            in += 6;
        }
        in += 6;
        out += utf8_put(unit, out);
    }
    *out = '\0';
}

int json_skip_string(struct json_parser *p)
{
    bool escapes;

    p->at++;
    if (scan_string(p, &escapes) < 0)
        return -1;
    p->at++;
    return 0;
}

char *json_parse_string(struct json_parser *p)
{
    size_t start = ++p->at;
    bool escapes = false;
    size_t length;
    char *out;

    if (scan_string(p, &escapes) < 0)
        return NULL;
    length = p->at++ - start;
    out = xrealloc(NULL, length + 1);
    if (escapes) {
        copy_unescaped(out, p->text + start, length);
    } else {
        memcpy(out, p->text + start, length);
        out[length] = '\0';
    }
    return out;
}
