/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MEMORY_SHORTAGE_H
#define MEMORY_SHORTAGE_H
#include <stdbool.h>
#include <stdint.h>

/*
 * Something is done again and again, in a child, each time with another allocation that fails:
 * the first, the second, until it is done before the one that would. What ends the child must
 * be the stated abort (base/alloc.h, crypto/must.h); then another child goes on with the next.
 */
struct shortage {
    const char *name;                   /* for complaints */
    int (*prepare)(void *ctx);          /* in the child, before the first; NULL: nothing */
    int (*run)(void *ctx, int64_t nth); /* with memory_fail_at(nth) set; non-zero: not as it
                                           must be, which it has said on stderr */
    int (*after_abort)(void *ctx);      /* in the parent; NULL: nothing */
    void *ctx;
    int64_t every; /* of so many allocations one */
    bool lasting;  /* those after it fail as well */
    bool leaks;    /* what it has taken may stay: threads that are still at it, caches */
};

struct shortage_seen {
    int64_t tried;    /* allocations that failed first */
    int64_t aborted;  /* as stated */
    int64_t survived; /* came back */
};

/* Adds to *seen. Whatever goes wrong ends the program with exit code 1 and a sentence. */
void shortage_run(const struct shortage *shortage, struct shortage_seen *seen);
#endif
