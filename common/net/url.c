/* SPDX-License-Identifier: Apache-2.0 */
#include "net/url.h"

#include <curl/curl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "net/net.h"

#define URL_MAX_BYTES 8192
#define METHOD_MAX_BYTES 16

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool method_valid(const char *method)
{
    size_t length = method ? strnlen(method, METHOD_MAX_BYTES + 1) : 0;

    for (size_t i = 0; i < length; i++)
        if (method[i] < 'A' || method[i] > 'Z')
            return false;
    return length > 0 && length <= METHOD_MAX_BYTES;
}

static bool visible_ascii(const char *text)
{
    size_t length = strnlen(text, URL_MAX_BYTES + 1);

    for (size_t i = 0; i < length; i++)
        if (text[i] <= 0x20 || text[i] >= 0x7f)
            return false;
    return length > 0 && length <= URL_MAX_BYTES;
}

static void part_free(char **part)
{
    curl_free(*part);
}

#define scoped_part __attribute__((cleanup(part_free))) char *

static char *part_of(CURLU *parsed, CURLUPart which)
{
    char *part = NULL;
    CURLUcode code = curl_url_get(parsed, which, &part, 0);

    if (code == CURLUE_OUT_OF_MEMORY)
        out_of_memory();
    return code == CURLUE_OK ? part : NULL;
}

static char *show(CURLU *parsed)
{
    scoped_part scheme = part_of(parsed, CURLUPART_SCHEME);
    scoped_part host = part_of(parsed, CURLUPART_HOST);
    scoped_part port = part_of(parsed, CURLUPART_PORT);
    scoped_part path = part_of(parsed, CURLUPART_PATH);

    if (!scheme || !host || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
        return NULL;
    return xasprintf("%s://%s%s%s%s", scheme, host, port ? ":" : "", port ? port : "",
                     path ? path : "/");
}

int url_check(const char *url, char **out_shown, struct err *err)
{
    const char *colon = url ? strstr(url, "://") : NULL;
    CURLU *parsed;
    CURLUcode code = CURLUE_OK;
    char *shown = NULL;

    if (!url || !visible_ascii(url))
        return err_set(err, ERR_INVALID, "a URL must be visible ASCII of at most %d bytes",
                       URL_MAX_BYTES);
    parsed = curl_url();
    /* libcurl would guess a scheme that isn't there, and overlook a third slash. */
    if (parsed && colon && colon[3] != '/')
        code = curl_url_set(parsed, CURLUPART_URL, url, 0);
    if (!parsed || code == CURLUE_OUT_OF_MEMORY)
        out_of_memory();
    if (colon && colon[3] != '/' && code == CURLUE_OK)
        shown = show(parsed);
    curl_url_cleanup(parsed);
    if (!shown)
        return err_set(err, ERR_INVALID, "not a URL of http or https");
    *out_shown = shown;
    return 0;
}

char *net_escape(const char *text)
{
    scoped_buf escaped = {0};

    for (const char *c = text; *c; c++) {
        if (is_alphanumeric(*c) || strchr("-._~", *c))
            buf_append(&escaped, c, 1);
        else
            buf_printf(&escaped, "%%%02X", (unsigned char)*c);
    }
    return buf_take(&escaped);
}
