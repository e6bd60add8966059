/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/kubernetes_quantity.h"

#include <stdlib.h>
#include <string.h>

#include "base/scoped.h"

#define DIGITS "0123456789"
#define EXPONENT_MAX 18

static const struct {
    const char *suffix;
    double factor;
} suffixes[] = {
    {"", 1},
    {"n", 1e-9},
    {"u", 1e-6},
    {"m", 1e-3},
    {"k", 1e3},
    {"M", 1e6},
    {"G", 1e9},
    {"T", 1e12},
    {"P", 1e15},
    {"E", 1e18},
    {"Ki", 1024.0},
    {"Mi", 1024.0 * 1024},
    {"Gi", 1024.0 * 1024 * 1024},
    {"Ti", 1024.0 * 1024 * 1024 * 1024},
    {"Pi", 1024.0 * 1024 * 1024 * 1024 * 1024},
    {"Ei", 1024.0 * 1024 * 1024 * 1024 * 1024 * 1024},
};

/* "e3", "E-2"; "E" alone is a suffix. */
static bool read_exponent(const char *text, double *out)
{
    char *end;
    long exponent;

    if ((*text != 'e' && *text != 'E') || !text[1])
        return false;
    text++;
    if (!strchr("+-" DIGITS, *text))
        return false;
    exponent = strtol(text, &end, 10);
    if (*end || end == text || labs(exponent) > EXPONENT_MAX)
        return false;
    *out = 1;
    for (; exponent > 0; exponent--)
        *out *= 10;
    for (; exponent < 0; exponent++)
        *out /= 10;
    return true;
}

static bool read_factor(const char *text, double *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
        if (strcmp(text, suffixes[i].suffix) == 0) {
            *out = suffixes[i].factor;
            return true;
        }
    return read_exponent(text, out);
}

bool kubernetes_quantity_parse(const char *text, double *out)
{
    const char *number = *text == '+' ? text + 1 : text;
    size_t whole = strspn(number, DIGITS);
    size_t length = whole;
    double factor;
    char digits[64];

    if (number[length] == '.')
        length += 1 + strspn(number + length + 1, DIGITS);
    if (length == 0 || (whole == 0 && length == 1) || length >= sizeof(digits)
        || !read_factor(number + length, &factor))
        return false;
    memcpy(digits, number, length);
    digits[length] = '\0';
    *out = strtod(digits, NULL) * factor;
    return true;
}
