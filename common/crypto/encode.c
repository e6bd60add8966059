/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/digest.h"

#include <string.h>

#include "base/alloc.h"
#include "base/secret.h"

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

/* --- Base 62 -------------------------------------------------------------------------- */

#define LIMBS 8               /* 32-bit parts of 256 bits, most significant first */
#define GROUP 5               /* digits per division */
#define GROUP_BASE 916132832u /* 62^GROUP, which fits 32 bits */

static uint32_t divide(uint32_t number[LIMBS])
{
    uint64_t rest = 0;

    for (int i = 0; i < LIMBS; i++) {
        rest = rest << 32 | number[i];
        number[i] = (uint32_t)(rest / GROUP_BASE);
        rest %= GROUP_BASE;
    }
    return (uint32_t)rest;
}

void base62_256(const uint8_t number[32], char out[BASE62_256_LENGTH + 1])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz";
    uint32_t limbs[LIMBS];
    int at = BASE62_256_LENGTH;

    for (int i = 0; i < LIMBS; i++, number += 4)
        limbs[i] = (uint32_t)number[0] << 24 | (uint32_t)number[1] << 16
                   | (uint32_t)number[2] << 8 | number[3];
    out[at] = '\0';
    while (at > 0) {
        uint32_t group = divide(limbs);

        for (int i = 0; i < GROUP && at > 0; i++) {
            out[--at] = digits[group % 62];
            group /= 62;
        }
    }
    secret_wipe(limbs, sizeof(limbs));
}
