/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/strict.h"

#include <string.h>
#include <strings.h>

/* More digits than any size we could take; fewer than would overflow. */
#define LENGTH_DIGITS_MAX 18

/*
 * libmicrohttpd cuts the head up where it lies, into strings: a NUL in it shortens one, a
 * lone LF or a folded line is taken for something else, and nothing says so. But all the
 * strings of a well-formed head lie end to end, with two bytes (CR, LF) after each line; so
 * where the next one isn't at its place, there were bytes that we were not shown.
 */
struct walk {
    struct head *head;
    uintptr_t next; /* where the next header has to begin */
    const char *complaint;
};

static uintptr_t after(const char *text, size_t size, size_t gap)
{
    return (uintptr_t)text + size + gap;
}

static bool is_token(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", text[i]))
            return false;
    return size > 0;
}

/* Bare CR, bare LF and the other controls are where parsers differ. */
static bool is_clean_value(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
            return false;
    return true;
}

struct known_header {
    const char *name;
    size_t length;
    size_t offset;     /* into struct head */
    const char *twice; /* the complaint when it comes again; NULL: the first one counts */
};

#define HIDDEN_BYTES "a header is folded or has characters that don't belong there"

#define KNOWN(text, member, complaint)                                                         \
    {                                                                                          \
        (text), sizeof(text) - 1, offsetof(struct head, member), (complaint)                   \
    }

static const struct known_header known_headers[] = {
    KNOWN("Host", host, "the Host header is there twice"),
    KNOWN("Authorization", authorization, "the Authorization header is there twice"),
    KNOWN("Content-Type", content_type, "the Content-Type header is there twice"),
    KNOWN("Content-Length", content_length, "the Content-Length header is there twice"),
    KNOWN("Transfer-Encoding", transfer_encoding,
          "the Transfer-Encoding header is there twice"),
    KNOWN("X-Request-Id", request_id, NULL),
};

static enum MHD_Result look_at(void *cls, enum MHD_ValueKind kind, const char *key,
                               size_t key_size, const char *value, size_t value_size)
{
    struct walk *walk = cls;

    (void)kind;
    if (!is_token(key, key_size) || !value || !is_clean_value(value, value_size)) {
        walk->complaint = "a header has characters that don't belong there";
        return MHD_NO;
    }
    if ((uintptr_t)key != walk->next) {
        walk->complaint = HIDDEN_BYTES;
        return MHD_NO;
    }
    walk->next = after(value, value_size, 2);
    for (size_t i = 0; i < ARRAY_SIZE(known_headers); i++) {
        const struct known_header *known = &known_headers[i];
        const char **to = (const char **)((char *)walk->head + known->offset);

        if (known->length != key_size || strncasecmp(known->name, key, key_size) != 0)
            continue;
        if (*to && known->twice) {
            walk->complaint = known->twice;
            return MHD_NO;
        }
        if (!*to)
            *to = value;
        break;
    }
    return MHD_YES;
}

static const char *read_length(struct head *head)
{
    const char *text = head->content_length;

    if (!text)
        return NULL;
    if (!*text || strspn(text, "0123456789") != strlen(text)
        || strlen(text) > LENGTH_DIGITS_MAX)
        return "the Content-Length header is not a number";
    head->body_bytes = strtoull(text, NULL, 10);
    return NULL;
}

/* Blanks behind a value are no part of it (RFC 9110, 5.5), but libmicrohttpd leaves them
 * there. Not for what it has read by itself: it and we would read two different things. */
static void cut_blanks_behind(const char *value)
{
    char *text = (char *)(uintptr_t)value; /* in the connection's own memory */
    size_t size = text ? strlen(text) : 0;

    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t'))
        text[--size] = '\0';
}

static size_t head_size(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;
}

static const char *find_fault(struct request *req, const char *version)
{
    const char *method = req->method_name;
    struct head *head = &req->head;
    struct walk walk = {.head = head, .next = after(version, strlen(version), 2)};
    bool is_1_1 = strcmp(version, MHD_HTTP_VERSION_1_1) == 0;

    if (!req->uri_is_clean || (uintptr_t)req->uri != after(method, strlen(method), 1)
        || (uintptr_t)version != after(req->uri, req->uri_length, 1)
        || !is_token(method, strlen(method)))
        return "the request line has characters that don't belong there";
    if (!is_1_1 && strcmp(version, MHD_HTTP_VERSION_1_0) != 0)
        return "this version of HTTP is not served";
    (void)MHD_get_connection_values_n(req->mhd, MHD_HEADER_KIND, look_at, &walk);
    if (walk.complaint)
        return walk.complaint;
    if (walk.next + 2 != after(method, head_size(req->mhd), 0))
        return HIDDEN_BYTES;
    if (is_1_1 && !head->host)
        return "the Host header is missing";
    if (head->transfer_encoding && head->content_length)
        return "Content-Length and Transfer-Encoding exclude each other";
    if (head->transfer_encoding
        && (!is_1_1 || strcasecmp(head->transfer_encoding, "chunked") != 0))
        return "this Transfer-Encoding is not served";
    cut_blanks_behind(head->authorization);
    return read_length(head);
}

bool strict_target_is_clean(const char *uri)
{
    for (; *uri; uri++)
        if ((unsigned char)*uri <= ' ' || *uri == 0x7f)
            return false;
    return true;
}

int strict_check(struct request *req, const char *version, struct err *err)
{
    const char *fault = find_fault(req, version);

    if (fault)
        return err_set_code(err, ERR_INVALID, "malformed_request", "%s", fault);
    return 0;
}
