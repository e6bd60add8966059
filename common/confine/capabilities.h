/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFINE_CAPABILITIES_H
#define CONFINE_CAPABILITIES_H
#include <stdint.h>

/*
 * Giving up capabilities, by masks of 1 << CAP_... Async-signal-safe; -1 with errno. Of the
 * calling thread, so before there are others.
 */
#define CAPABILITY(number) (UINT64_C(1) << (number))

/*
 * What a later exec can give at most. And, where `keep` is 0, that root is nobody special: a
 * root without capabilities that executes something gets them all back otherwise. Nothing is
 * done, or need be, for who may not (CAP_SETPCAP).
 */
int capabilities_bound(uint64_t keep);

/* What we have at all, of what we have. */
int capabilities_keep(uint64_t keep);

/* In effect now, of what we have: the others can be taken up again. */
int capabilities_use(uint64_t use);

/* In effect now. */
uint64_t capabilities_in_use(void);
#endif
