/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/digest.h"

#include <string.h>

#include "base/alloc.h"

static const char url_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void hex_encode(const void *data, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;

    for (size_t i = 0; i < size; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool hex_decode(const char *text, void *out, size_t size)
{
    uint8_t *bytes = out;

    for (size_t i = 0; i < size; i++) {
        int high = hex_value(text[2 * i]);
        int low = high < 0 ? -1 : hex_value(text[2 * i + 1]);

        if (low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return text[2 * size] == '\0';
}

/* Three bytes or fewer become four digits; those that no bit reaches are left to the caller. */
static void put_digits(const uint8_t *bytes, size_t count, const char *digits, char out[4])
{
    uint32_t bits = (uint32_t)bytes[0] << 16;

    if (count > 1)
        bits |= (uint32_t)bytes[1] << 8;
    if (count > 2)
        bits |= bytes[2];
    for (int i = 0; i < 4; i++)
        out[i] = digits[bits >> (18 - 6 * i) & 63];
}

static char *encode(const void *data, size_t size, const char *digits, bool padded)
{
    const uint8_t *bytes = data;
    char *out = xrealloc(NULL, size / 3 * 4 + 5);
    char *at = out;

    for (; size >= 3; size -= 3, bytes += 3, at += 4)
        put_digits(bytes, 3, digits, at);
    if (size) {
        put_digits(bytes, size, digits, at);
        at += size + 1;
        for (size_t i = size; padded && i < 3; i++)
            *at++ = '=';
    }
    *at = '\0';
    return out;
}

char *base64url_encode(const void *data, size_t size)
{
    return encode(data, size, url_alphabet, false);
}

char *base64_encode(const void *data, size_t size)
{
    return encode(data, size, alphabet, true);
}

void *base64url_decode(const char *text, size_t *out_size)
{
    size_t length = strlen(text);
    scoped_str out = NULL;
    uint32_t bits = 0;
    int n_bits = 0;
    size_t size = 0;

    if (length % 4 == 1)
        return NULL;
    out = xrealloc(NULL, length / 4 * 3 + 3);
    for (; *text; text++) {
        const char *digit = strchr(url_alphabet, *text);

        if (!digit)
            return NULL;
        bits = bits << 6 | (uint32_t)(digit - url_alphabet);
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[size++] = (char)(bits >> n_bits);
        }
    }
    /* Two texts must not stand for the same bytes: what is left over has to be zero. */
    if (bits & ((1u << n_bits) - 1))
        return NULL;
    out[size] = '\0';
    *out_size = size;
    return TAKE(out);
}
