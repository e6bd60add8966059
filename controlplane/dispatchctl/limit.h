/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_LIMIT_H
#define DISPATCHCTL_LIMIT_H
#include "dispatchctl/flags.h"

/* How many entries --limit and --all ask for; 0: all of them. ERR_INVALID. */
#define LIMIT_USUAL 100
#define LIMIT_MAX 1000000
int limit_read(const struct options *options, int64_t *out, struct err *err) CHECKED;

/* A whole number from `least` to `most`, digits only. ERR_INVALID about the flag. */
int limit_number(const char *flag, const char *text, int64_t least, int64_t most, int64_t *out,
                 struct err *err) CHECKED;
#endif
