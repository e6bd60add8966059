/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static int record(struct err *err, enum err_kind kind, const char *code, const char *fmt,
                  va_list args) PRINTF_LIKE(4, 0);

/* A sentence goes into JSON, logs and terminals: control characters become spaces. */
static void flatten(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
}

/* The sentence is made before the struct is cleared: it may quote what the struct said. */
static int record(struct err *err, enum err_kind kind, const char *code, const char *fmt,
                  va_list args)
{
    char text[ERR_TEXT_MAX];

    (void)vsnprintf(text, sizeof(text), fmt, args);
    flatten(text);
    *err = (struct err){.kind = kind, .code = code};
    memcpy(err->text, text, strlen(text) + 1);
    return -1;
}

int err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)record(err, kind, NULL, fmt, args);
    va_end(args);
    return -1;
}

int err_set_code(struct err *err, enum err_kind kind, const char *code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)record(err, kind, code, fmt, args);
    va_end(args);
    return -1;
}

int err_set_field(struct err *err, const char *field, const char *fmt, ...)
{
    char said[ERR_TEXT_MAX];
    char path[sizeof(err->field)];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(said, sizeof(said), fmt, args);
    va_end(args);
    (void)snprintf(path, sizeof(path), "%s", field); /* `field` may be err->field */
    (void)err_set(err, ERR_INVALID, "%s: %s", path, said);
    memcpy(err->field, path, sizeof(path));
    flatten(err->field);
    return -1;
}

static enum err_kind kind_of_errno(int number)
{
    switch (number) {
    case ENOENT:
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case ENOSPC:
    case EDQUOT:
        return ERR_UNAVAILABLE;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    default:
        return ERR_INTERNAL;
    }
}

int err_set_errno(struct err *err, int number, const char *fmt, ...)
{
    char what[ERR_TEXT_MAX];
    char why[128];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    return err_set(err, kind_of_errno(number), "%s: %s", what,
                   strerror_r(number, why, sizeof(why)));
}

int err_wrap(struct err *err, const char *fmt, ...)
{
    char doing[ERR_TEXT_MAX];
    char said[ERR_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(doing, sizeof(doing), fmt, args);
    va_end(args);
    memcpy(said, err->text, sizeof(said));
    if (snprintf(err->text, sizeof(err->text), "%s: %s", doing, said) < 0)
        err->text[0] = '\0';
    flatten(err->text);
    return -1;
}

const char *err_kind_name(enum err_kind kind)
{
    static const char *const names[] = {
        [ERR_NONE] = "none",
        [ERR_INVALID] = "invalid_request",
        [ERR_UNAUTHENTICATED] = "unauthenticated",
        [ERR_DENIED] = "forbidden",
        [ERR_NOT_FOUND] = "not_found",
        [ERR_CONFLICT] = "conflict",
        [ERR_TOO_LARGE] = "too_large",
        [ERR_UNSUPPORTED] = "unsupported_media_type",
        [ERR_LIMITED] = "rate_limited",
        [ERR_TIMEOUT] = "timeout",
        [ERR_UPSTREAM] = "upstream_error",
        [ERR_UNAVAILABLE] = "unavailable",
        [ERR_INTERNAL] = "internal",
    };

    return (size_t)kind < ARRAY_SIZE(names) ? names[kind] : "internal";
}
