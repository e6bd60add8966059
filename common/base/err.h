/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ERR_H
#define BASE_ERR_H
#include "base/scoped.h"

/*
 * Why a call failed: a kind that callers act on and a sentence that people read. The struct
 * lives on the caller's stack, so reporting a failure allocates nothing. Functions that can
 * fail take it last and return -1 or NULL; on success they leave it alone.
 *
 * err_set and err_wrap return -1, so that one line records and leaves.
 */
enum err_kind {
    ERR_NONE,
    ERR_INVALID,         /* the caller's input is wrong: asking again won't help */
    ERR_UNAUTHENTICATED, /* no credential, or one we don't know */
    ERR_DENIED,          /* a known caller that may not do this */
    ERR_NOT_FOUND,
    ERR_CONFLICT,    /* the thing has moved on: look again first */
    ERR_TOO_LARGE,   /* beyond a named limit */
    ERR_UNSUPPORTED, /* a media type or method that isn't served */
    ERR_LIMITED,     /* too many for now: retry_after_s says when */
    ERR_TIMEOUT,     /* no answer in time: it may or may not have happened */
    ERR_UPSTREAM,    /* another system answered with a failure */
    ERR_UNAVAILABLE, /* we can't right now: stopping, disk full, ... */
    ERR_INTERNAL,
};

#define ERR_TEXT_MAX 512

struct err {
    enum err_kind kind;
    int retry_after_s;       /* with ERR_LIMITED and ERR_UNAVAILABLE; 0: unknown */
    const char *code;        /* stable identifier for machines; a literal, or NULL */
    char field[96];          /* the input that was wrong, as a path; or empty */
    char text[ERR_TEXT_MAX]; /* one sentence, without a full stop or a line break */
};

/* Records what went wrong. Always -1. */
int err_set(struct err *err, enum err_kind kind, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The same with the stable code that an answer carries. `code` must be a literal. */
int err_set_code(struct err *err, enum err_kind kind, const char *code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* ERR_INVALID about one input field: the text becomes "<field>: <sentence>". */
int err_set_field(struct err *err, const char *field, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* ERR_... from errno: "<what>: <strerror>"; ENOENT is ERR_NOT_FOUND, EACCES and EPERM are
 * ERR_DENIED, ENOSPC and EDQUOT are ERR_UNAVAILABLE, the rest ERR_INTERNAL. */
int err_set_errno(struct err *err, int number, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts what we were doing in front of what they said; the kind and code stay. */
int err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* "not_found" and so on: the code of an error that has none of its own. */
const char *err_kind_name(enum err_kind kind);
#endif
