/* SPDX-License-Identifier: Apache-2.0 */
#include "service/token_wish.h"

#include <string.h>

#include "base/clock.h"

#define DAY_MS (24LL * 3600 * 1000)

int token_wish_label(const char *field, const char *text, struct err *err)
{
    if (!text)
        return 0;
    if (!text[strspn(text, " ")] || strlen(text) > TOKEN_NAME_MAX)
        return err_set_field(err, field, "expected 1 to %d bytes", TOKEN_NAME_MAX);
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return err_set_field(err, field, "control characters are not allowed");
    return 0;
}

int token_wish_expiry(const char *text, int64_t now_ms, int64_t *out_ms, struct err *err)
{
    *out_ms = 0;
    if (!text)
        return 0;
    if (!clock_parse(text, out_ms))
        return err_set_field(err, "expires_at", "expected a time as in RFC 3339");
    if (*out_ms <= now_ms)
        return err_set_field(err, "expires_at", "that has passed");
    if (*out_ms > now_ms + TOKEN_LIFE_MAX_DAYS * DAY_MS)
        return err_set_field(err, "expires_at", "more than %d days away", TOKEN_LIFE_MAX_DAYS);
    return 0;
}
