/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SCOPED_H
#define BASE_SCOPED_H
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Cleaning up in the declaration: a variable marked scoped_... or scoped(T) is released on
 * every way out of its block. TAKE hands the value on and leaves NULL behind. A module
 * offers scoped(thing) by writing DEFINE_SCOPED(thing) under thing_free.
 */
#define TAKE(p)                                                                                \
    ({                                                                                         \
        __auto_type taken_ = (p);                                                              \
        (p) = NULL;                                                                            \
        taken_;                                                                                \
    })
#define TAKE_FD(fd)                                                                            \
    ({                                                                                         \
        int taken_ = (fd);                                                                     \
        (fd) = -1;                                                                             \
        taken_;                                                                                \
    })
/* clang-format off */
#define DEFINE_SCOPED(T) \
    __attribute__((unused)) static inline void T##_free_at(struct T **p) { T##_free(*p); }
/* clang-format on */
#define scoped(T) __attribute__((cleanup(T##_free_at))) struct T *

#define scoped_str __attribute__((cleanup(scoped_free_str))) char *
#define scoped_file __attribute__((cleanup(scoped_close_file))) FILE *
#define scoped_fd __attribute__((cleanup(scoped_close_fd))) int

#define CHECKED __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline void scoped_free_str(char **p)
{
    free(*p);
}

static inline void scoped_close_file(FILE **p)
{
    if (*p)
        (void)fclose(*p);
}

static inline void scoped_close_fd(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}
#endif
