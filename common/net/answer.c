/* SPDX-License-Identifier: Apache-2.0 */
#include "net/answer.h"

#include <curl/curl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

#define RETRY_AFTER_MAX_S 86400

void net_answer_done(struct net_answer *answer)
{
    buf_done(&answer->body);
    buf_done(&answer->headers);
    *answer = (struct net_answer){0};
}

static void hide_in(struct buf *text, const char *secret, size_t length)
{
    char *at = text->data;

    while (text->size
           && (at = memmem(at, (size_t)(text->data + text->size - at), secret, length)))
        memset(at, '*', length);
}

void answer_hide(struct net_answer *answer, const struct secret *sent)
{
    const char *secret = secret_reveal(sent);

    if (!*secret)
        return;
    hide_in(&answer->body, secret, strlen(secret));
    hide_in(&answer->headers, secret, strlen(secret));
}

/* --- Coming in ------------------------------------------------------------------------ */

static void start_anew(struct net_answer *answer, const char *line, size_t size)
{
    const char *blank = memchr(line, ' ', size);
    int status = 0;

    buf_clear(&answer->headers);
    for (const char *c = blank ? blank + 1 : line + size;
         c < line + size && *c >= '0' && *c <= '9' && status < 1000; c++)
        status = status * 10 + (*c - '0');
    answer->status = status;
}

/* "Name: value" as "name: value\n", and a folded line onto the value before it. */
static void add_line(struct net_answer *answer, const char *line, size_t size)
{
    struct buf *headers = &answer->headers;
    const char *colon = memchr(line, ':', size);
    size_t name = colon ? (size_t)(colon - line) : 0;
    const char *value = line + name + 1;

    if ((*line == ' ' || *line == '\t') && headers->size) {
        headers->size--;
        buf_append(headers, " ", 1);
        value = line;
    } else if (!name) {
        return;
    } else {
        for (size_t i = 0; i < name; i++) {
            char c = line[i];

            c = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
            buf_append(headers, &c, 1);
        }
        buf_append(headers, ": ", 2);
    }
    while (value < line + size && (*value == ' ' || *value == '\t'))
        value++;
    buf_append(headers, value, (size_t)(line + size - value));
    buf_append(headers, "\n", 1);
}

bool answer_add_header(struct net_answer *answer, const char *line, size_t size, size_t *total)
{
    *total += size;
    if (*total > ANSWER_HEADERS_MAX_BYTES)
        return false;
    while (size && strchr("\r\n \t", line[size - 1]))
        size--;
    if (!size)
        return true;
    if (size >= 5 && memcmp(line, "HTTP/", 5) == 0)
        start_anew(answer, line, size);
    else
        add_line(answer, line, size);
    return true;
}

/* --- Being asked ---------------------------------------------------------------------- */

char *net_answer_header(const struct net_answer *answer, const char *name)
{
    size_t length = strlen(name);

    for (const char *line = answer->headers.data; line && *line;) {
        const char *end = strchr(line, '\n');

        if (!end)
            break;
        if (strncmp(line, name, length) == 0 && strncmp(line + length, ": ", 2) == 0)
            return xstrndup(line + length + 2, (size_t)(end - line) - length - 2);
        line = end + 1;
    }
    return NULL;
}

int net_answer_retry_after_s(const struct net_answer *answer)
{
    scoped_str value = net_answer_header(answer, "retry-after");
    char *end;
    long long seconds;

    if (!value || !*value)
        return 0;
    seconds = strtoll(value, &end, 10);
    if (*end) { /* not a number: a date, rounded up so that we never come too early */
        time_t at = curl_getdate(value, NULL);

        seconds = at < 0 ? 0 : ((long long)at * 1000 - clock_wall_ms() + 999) / 1000;
    }
    if (seconds <= 0)
        return 0;
    return seconds > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : (int)seconds;
}

cJSON *net_answer_json_without(const struct net_answer *answer, const char *const *left_out,
                               struct err *err)
{
    cJSON *value = json_parse_without(answer->body.data ? answer->body.data : "",
                                      answer->body.size, left_out, err);

    if (!value) {
        (void)err_wrap(err, "the answer isn't JSON");
        err->kind = ERR_UPSTREAM;
        err->code = NULL;
    }
    return value;
}

cJSON *net_answer_json(const struct net_answer *answer, struct err *err)
{
    return net_answer_json_without(answer, NULL, err);
}
