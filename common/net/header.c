/* SPDX-License-Identifier: Apache-2.0 */
#include "net/header.h"

#include <string.h>
#include <strings.h>

#include "base/scoped.h"

#define HEADER_MAX_BYTES 16384

static size_t token_length(const char *text)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789!#$%&'*+-.^_`|~";

    return strspn(text, allowed);
}

bool header_valid(const char *header)
{
    const char *c = header + token_length(header);

    if (c == header || *c != ':' || strnlen(header, HEADER_MAX_BYTES + 1) > HEADER_MAX_BYTES)
        return false;
    for (c++; *c; c++)
        if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
            return false;
    return true;
}

bool header_name_valid(const char *name)
{
    size_t length = token_length(name);

    return length && !name[length];
}

bool header_is_the_senders(const char *name)
{
    static const char *const names[] = {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "upgrade",
        "trailer",
        "te",
        "expect",
        "proxy-connection",
        "proxy-authorization",
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return false;
}
