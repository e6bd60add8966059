/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/clean.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"

static uint32_t decode(const char *at, size_t size)
{
    static const uint8_t first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t character = (uint8_t)at[0] & first_bits[size];

    for (size_t i = 1; i < size; i++)
        character = character << 6 | ((uint8_t)at[i] & 0x3f);
    return character;
}

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x61c /* Arabic letter mark */
           || c == 0x200e || c == 0x200f                      /* left-to-right, right-to-left */
           || (c >= 0x2028 && c <= 0x202e)  /* separators, embeddings, overrides */
           || (c >= 0x2066 && c <= 0x2069); /* isolates */
}

char *clean_text(const char *text, size_t size)
{
    scoped_buf out = {0};

    while (size) {
        size_t length = utf8_first(text, size);

        if (length && (*text == '\n' || *text == '\t' || !is_control(decode(text, length))))
            buf_append(&out, text, length);
        else if (*text != '\r' || size < 2 || text[1] != '\n')
            buf_append_str(&out, UTF8_REPLACEMENT);
        length = length ? length : 1;
        text += length;
        size -= length;
    }
    return buf_take(&out);
}

char *clean_line(const char *text)
{
    char *line = clean_text(text ? text : "", text ? strlen(text) : 0);
    size_t kept = 0;
    bool gap = false;

    for (const char *at = line; *at; at++) {
        bool blank = *at == ' ' || *at == '\n' || *at == '\t';

        if (!blank && gap && kept)
            line[kept++] = ' ';
        if (!blank)
            line[kept++] = *at;
        gap = blank;
    }
    line[kept] = '\0';
    return line;
}

char *clean_json(const char *text)
{
    scoped_buf out = {0};
    const char *end = text + strlen(text);

    for (size_t length; text < end; text += length) {
        uint32_t character;

        length = utf8_first(text, (size_t)(end - text));
        length = length ? length : 1;
        character = decode(text, length);
        if (character >= 0x7f && is_control(character))
            buf_printf(&out, "\\u%04x", (unsigned)character);
        else
            buf_append(&out, text, length);
    }
    return buf_take(&out);
}
