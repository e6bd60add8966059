/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <string.h>

void out_of_memory(void)
{
    static const char last_words[] = "out of memory\n";

    /* Nothing here may allocate; a failing write changes nothing. */
    if (write(STDERR_FILENO, last_words, sizeof(last_words) - 1) < 0)
        abort();
    abort();
}

static void *need(void *memory)
{
    if (!memory)
        out_of_memory();
    return memory;
}

void *xcalloc(size_t count, size_t size)
{
    return need(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *old, size_t size)
{
    return need(realloc(old, size ? size : 1));
}

char *xstrdup(const char *text)
{
    return text ? need(strdup(text)) : NULL;
}

char *xstrndup(const char *text, size_t length)
{
    size_t size = strnlen(text, length);
    char *copy = xcalloc(size + 1, 1);

    /* Not strndup: with checkers it looks for a NUL beyond `length`, all the way. */
    memcpy(copy, text, size);
    return copy;
}

char *xvasprintf(const char *fmt, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, fmt, args) < 0)
        out_of_memory();
    return text;
}

char *xasprintf(const char *fmt, ...)
{
    va_list args;
    char *text;

    va_start(args, fmt);
    text = xvasprintf(fmt, args);
    va_end(args);
    return text;
}
