/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/schema_pattern.h"

#include <regex.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"

#define GROUPS_MAX 16

static bool is_ascii(const char *text, size_t most)
{
    size_t length = strnlen(text, most + 1);

    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] >= 0x80)
            return false;
    return length <= most;
}

/* What follows a backslash outside of brackets: as POSIX says it, or NULL. */
static const char *translated(char c)
{
    switch (c) {
    case 'd':
        return "[0-9]";
    case 'w':
        return "[A-Za-z0-9_]";
    case 's':
        return "[ \t\n\v\f\r]";
    case 'D':
        return "[^0-9]";
    case 'W':
        return "[^A-Za-z0-9_]";
    case 'S':
        return "[^ \t\n\v\f\r]";
    default:
        return NULL;
    }
}

/* A bracket expression from its '[' on; its length, or 0 when the two languages may differ. */
static size_t bracket_length(const char *from)
{
    const char *at = from + 1;

    at += *at == '^';
    if (*at == ']')
        return 0;
    for (; *at != ']'; at++)
        if (!*at || *at == '\\' || *at == '[')
            return 0;
    return (size_t)(at + 1 - from);
}

/* Copies one item of the pattern; its length, or 0 when it can't be said. */
static size_t translate_one(const char *at, struct buf *out)
{
    size_t length = *at == '[' ? bracket_length(at) : 1;
    const char *class = *at == '\\' ? translated(at[1]) : NULL;

    if (class) {
        buf_append_str(out, class);
        return 2;
    }
    if (*at == '\\') {
        if (!at[1] || !strchr(".-/+*?()[]{}|^$\\", at[1]))
            return 0;
        if (strchr("-/", at[1]))
            buf_append(out, at + 1, 1);
        else
            buf_append(out, at, 2);
        return 2;
    }
    if (strchr("{}", *at) || (*at == '(' && at[1] == '?')
        || (strchr("*+?", *at) && at[1] && strchr("*+?", at[1])))
        return 0;
    buf_append(out, at, length);
    return length;
}

static bool translate(const char *pattern, struct buf *out)
{
    int groups = 0;

    while (*pattern) {
        size_t length = translate_one(pattern, out);

        groups += *pattern == '(';
        if (!length || groups > GROUPS_MAX)
            return false;
        pattern += length;
    }
    return true;
}

enum schema_match schema_pattern_match(const char *pattern, const char *text)
{
    scoped_buf posix = {0};
    regex_t compiled;
    int found;

    if (!pattern[0] || !is_ascii(pattern, SCHEMA_PATTERN_MAX_BYTES)
        || !is_ascii(text, SCHEMA_PATTERN_TEXT_MAX_BYTES) || !translate(pattern, &posix)
        || regcomp(&compiled, posix.data, REG_EXTENDED | REG_NOSUB) != 0)
        return SCHEMA_NOT_JUDGED;
    found = regexec(&compiled, text, 0, NULL, 0);
    regfree(&compiled);
    if (found != 0 && found != REG_NOMATCH)
        return SCHEMA_NOT_JUDGED;
    return found == 0 ? SCHEMA_MATCHES : SCHEMA_DIFFERS;
}
