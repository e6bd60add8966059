/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/log_writer.h"
#include "base/utf8.h"

/* A line is cut here, so that a hostile value can't fill a disk one line at a time. */
#define LINE_MAX_BYTES 8192
#define VALUE_MAX_BYTES 2048

/* Zeroing eight kilobytes a line (-ftrivial-auto-var-init) would cost more than the line. */
#if defined(__has_attribute) && __has_attribute(uninitialized)
#define LINE_UNINITIALIZED __attribute__((uninitialized))
#else
#define LINE_UNINITIALIZED
#endif

static _Atomic int lowest_level = LOG_LEVEL_INFO;
static _Thread_local const char *request_of_thread;

struct line {
    char text[LINE_MAX_BYTES + 8]; /* the close is always put, past the limit if need be */
    size_t size;
};

static void put(struct line *line, const char *text, size_t length)
{
    if (length > LINE_MAX_BYTES - line->size)
        return;
    memcpy(line->text + line->size, text, length);
    line->size += length;
}

static void put_str(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* One character, of no bytes when the first isn't UTF-8: a line is JSON whatever it quotes. */
static void put_character(struct line *line, const char *text, size_t length)
{
    unsigned char c = (unsigned char)text[0];
    char escaped[8];

    if (length == 0) {
        put_str(line, UTF8_REPLACEMENT);
    } else if (c == '"' || c == '\\') {
        (void)snprintf(escaped, sizeof(escaped), "\\%c", c);
        put_str(line, escaped);
    } else if (c < 0x20 || c == 0x7f) {
        (void)snprintf(escaped, sizeof(escaped), "\\u%04x", c);
        put_str(line, escaped);
    } else {
        put(line, text, length);
    }
}

/* How many characters stand for themselves; most texts are nothing else. */
static size_t plain_span(const char *text, size_t size)
{
    size_t at = 0;

    while (at < size && text[at] >= 0x20 && text[at] < 0x7f && text[at] != '"'
           && text[at] != '\\')
        at++;
    return at;
}

static void put_quoted(struct line *line, const char *text)
{
    size_t left = strnlen(text, VALUE_MAX_BYTES);

    if (line->size + 2 > LINE_MAX_BYTES)
        return;
    put_str(line, "\"");
    while (left && line->size + 8 <= LINE_MAX_BYTES) {
        size_t room = LINE_MAX_BYTES - line->size - 7;
        size_t plain = plain_span(text, left < room ? left : room);
        size_t length;

        if (plain) {
            put(line, text, plain);
            text += plain;
            left -= plain;
            continue;
        }
        length = utf8_first(text, left);
        put_character(line, text, length);
        text += length ? length : 1;
        left -= length ? length : 1;
    }
    put_str(line, "\"");
}

static void put_field(struct line *line, const struct log_field *field, bool json)
{
    char number[24];

    if (field->type == LOG_TEXT && !field->text)
        return;
    if (line->size + 64 > LINE_MAX_BYTES)
        return;
    put_str(line, json ? ",\"" : " ");
    put_str(line, field->key);
    put_str(line, json ? "\":" : "=");
    switch (field->type) {
    case LOG_TEXT:
        put_quoted(line, field->text);
        break;
    case LOG_NUMBER:
        (void)snprintf(number, sizeof(number), "%lld", (long long)field->number);
        put_str(line, number);
        break;
    case LOG_BOOL:
        put_str(line, field->number ? "true" : "false");
        break;
    }
}

static void begin_line(struct line *line, enum log_level level, const char *sentence, bool json)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    char now[CLOCK_TEXT_SIZE];

    clock_text(clock_wall_ms(), now);
    put_str(line, json ? "{\"time\":\"" : "");
    put_str(line, now);
    put_str(line, json ? "\",\"level\":\"" : " ");
    put_str(line, names[level]);
    put_str(line, json ? "\",\"msg\":" : " ");
    if (json)
        put_quoted(line, sentence);
    else
        put_str(line, sentence);
}

static bool stderr_is_terminal(void)
{
    static _Atomic int known = -1; /* not yet */
    int is = atomic_load_explicit(&known, memory_order_relaxed);

    if (is < 0) {
        is = isatty(STDERR_FILENO);
        atomic_store(&known, is);
    }
    return is == 1;
}

/* A function of its own, so that a line that isn't wanted costs no line's worth of stack. */
/* A key that is there twice is read in one way here and in another there. */
static bool names_request(const struct log_field *fields, size_t n_fields)
{
    for (size_t i = 1; i < n_fields; i++)
        if (strcmp(fields[i].key, "request") == 0)
            return true;
    return false;
}

static void write_line(enum log_level level, const char *sentence,
                       const struct log_field *fields, size_t n_fields)
{
    int saved = errno;
    struct line line LINE_UNINITIALIZED;
    bool json = !stderr_is_terminal();

    line.size = 0;
    begin_line(&line, level, sentence, json);
    if (request_of_thread && !names_request(fields, n_fields)) {
        struct log_field request = log_field_text("request", request_of_thread);

        put_field(&line, &request, json);
    }
    for (size_t i = 1; i < n_fields; i++)
        put_field(&line, &fields[i], json);
    if (json)
        line.text[line.size++] = '}';
    line.text[line.size++] = '\n';
    log_writer_put(line.text, line.size);
    errno = saved;
}

void log_write(enum log_level level, const char *sentence, const struct log_field *fields,
               size_t n_fields)
{
    if (log_enabled(level))
        write_line(level, sentence, fields, n_fields);
}

void log_set_level(enum log_level level)
{
    atomic_store(&lowest_level, (int)level);
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&lowest_level, memory_order_relaxed);
}

void log_set_request(const char *request_id)
{
    request_of_thread = request_id;
}
