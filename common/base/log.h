/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include "base/scoped.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * One event, one line on stderr: a fixed sentence and typed fields, as JSON, or as
 * key=value when stderr is a terminal. Safe from any thread; a line is one write.
 *
 *     log_info("job started", KV("run", run_id), KV("attempt", attempt));
 *
 * KV takes strings, whole numbers and booleans. A struct secret is none of these, so a
 * secret can't be logged by accident.
 */
enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

struct log_field {
    const char *key;
    enum { LOG_TEXT, LOG_NUMBER, LOG_BOOL } type;
    const char *text; /* NULL leaves the field out */
    int64_t number;
};

static inline struct log_field log_field_text(const char *key, const char *text)
{
    return (struct log_field){.key = key, .type = LOG_TEXT, .text = text};
}

static inline struct log_field log_field_number(const char *key, int64_t number)
{
    return (struct log_field){.key = key, .type = LOG_NUMBER, .number = number};
}

static inline struct log_field log_field_unsigned(const char *key, uint64_t number)
{
    return (struct log_field){.key = key, .type = LOG_NUMBER, .number = (int64_t)number};
}

static inline struct log_field log_field_bool(const char *key, bool value)
{
    return (struct log_field){.key = key, .type = LOG_BOOL, .number = value};
}

/* clang-format off */
#define KV(key, value) _Generic((value), \
    char *: log_field_text, const char *: log_field_text, bool: log_field_bool, \
    int: log_field_number, long: log_field_number, long long: log_field_number, \
    unsigned: log_field_unsigned, unsigned long: log_field_unsigned, \
    unsigned long long: log_field_unsigned)((key), (value))
/* clang-format on */

#define log_at(level, sentence, ...)                                                           \
    log_write((level), (sentence), (const struct log_field[]){{0}, ##__VA_ARGS__},             \
              sizeof((const struct log_field[]){{0}, ##__VA_ARGS__})                           \
                  / sizeof(struct log_field))

#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)

/* fields[0] is a placeholder and is skipped; use the macros above. */
void log_write(enum log_level level, const char *sentence, const struct log_field *fields,
               size_t n_fields);

/* Quieter or chattier; info at start. */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/* The request id that every line of this thread carries from now on; NULL for none. The
 * text is borrowed until the next call. */
void log_set_request(const char *request_id);
#endif
