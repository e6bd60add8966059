/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/uri.h"

#include <string.h>

#include "base/alloc.h"

/* Of ids, and of all words in our routes. */
#define SEGMENT_SHOWN_MAX 20

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte behind a '%'; 0 for %00, -1 for what isn't an escape. Reads no further than the
 * NUL at the end of the text. */
static int escaped_byte(const char *percent)
{
    int high = hex_value(percent[1]);
    int low = high < 0 ? -1 : hex_value(percent[2]);

    return low < 0 ? -1 : high * 16 + low;
}

size_t uri_keep_escapes(void *cls, struct MHD_Connection *mhd, char *text)
{
    (void)cls;
    (void)mhd;
    return strlen(text);
}

int uri_check_path(const char *path, struct err *err)
{
    for (const char *at = path; (at = strchr(at, '%')); at++)
        if (escaped_byte(at) <= 0)
            return err_set_code(err, ERR_INVALID, "invalid_path",
                                "the path has an escape that can't be decoded");
    return 0;
}

void uri_show_path(const char *path, char out[URI_SHOWN_SIZE])
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t size = 0;

    while (*path && size < URI_SHOWN_SIZE - SEGMENT_SHOWN_MAX - 2) {
        size_t length = strcspn(path, "/");
        bool shown = length <= SEGMENT_SHOWN_MAX && strspn(path, plain) == length;

        memcpy(out + size, shown ? path : "*", shown ? length : 1);
        size += shown ? length : 1;
        path += length;
        if (*path == '/')
            out[size++] = *path++;
    }
    out[size] = '\0';
}

/* Room for everything the request line can decode to: decoding never lengthens, and each
 * piece was followed by a separator that makes room for its NUL. */
static void make_room(struct request *req)
{
    size_t need = req->uri_length + 2;

    if (req->decoded_room >= need)
        return;
    free(req->decoded);
    req->decoded = xcalloc(1, need);
    req->decoded_room = need;
}

/* NULL for a bad escape. */
static const char *decode(struct request *req, const char *text, size_t size)
{
    char *start = req->decoded + req->decoded_size;
    char *to = start;

    for (size_t i = 0; i < size; i++) {
        int byte = (unsigned char)text[i];

        if (byte == '%') {
            byte = i + 2 < size ? escaped_byte(text + i) : -1;
            if (byte <= 0)
                return NULL;
            i += 2;
        }
        *to++ = (char)byte;
    }
    *to++ = '\0';
    req->decoded_size += (size_t)(to - start);
    return start;
}

/* --- The query ---------------------------------------------------------------------------- */

struct walk {
    struct request *req;
    const char *complaint;
};

static enum MHD_Result take_one(void *cls, enum MHD_ValueKind kind, const char *key,
                                size_t key_size, const char *value, size_t value_size)
{
    struct walk *walk = cls;
    struct request *req = walk->req;
    struct pair *to = &req->query[req->n_query];

    (void)kind;
    if (req->n_query == REQUEST_QUERY_MAX) {
        walk->complaint = "the query has too many parameters";
        return MHD_NO;
    }
    /* Where a NUL is hidden the sizes tell: nothing past the room is ever written. */
    if (req->decoded_size + key_size + value_size + 2 > req->decoded_room) {
        walk->complaint = "the query can't be read";
        return MHD_NO;
    }
    to->name = decode(req, key, key_size);
    to->value = to->name ? decode(req, value ? value : "", value ? value_size : 0) : NULL;
    if (!to->value) {
        walk->complaint = "the query has an escape that can't be decoded";
        return MHD_NO;
    }
    req->n_query++;
    return MHD_YES;
}

int uri_read_query(struct request *req, struct err *err)
{
    struct walk walk = {.req = req};

    if (strlen(req->path) == req->uri_length)
        return 0;
    make_room(req);
    (void)MHD_get_connection_values_n(req->mhd, MHD_GET_ARGUMENT_KIND, take_one, &walk);
    if (walk.complaint)
        return err_set_code(err, ERR_INVALID, "invalid_query", "%s", walk.complaint);
    return 0;
}

int uri_decode_params(struct request *req, const size_t *sizes, struct err *err)
{
    if (!req->n_params)
        return 0;
    make_room(req);
    for (size_t i = 0; i < req->n_params; i++) {
        req->params[i].value = decode(req, req->params[i].value, sizes[i]);
        if (!req->params[i].value || !*req->params[i].value)
            return err_set(err, ERR_NOT_FOUND, "there is nothing at this path");
    }
    return 0;
}
