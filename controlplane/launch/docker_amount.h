/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_DOCKER_AMOUNT_H
#define LAUNCH_DOCKER_AMOUNT_H
#include "json/json.h"

/*
 * Sizes and limits as Docker's command line writes them. Each is ERR_INVALID with a sentence
 * that begins with the setting's name.
 *
 * "512m", "4g", "1.5GiB", "1048576": powers of 1024 whatever they are called. "0" or NULL is 0:
 * no limit.
 */
int docker_amount_bytes(const char *setting, const char *text, int64_t *out,
                        struct err *err) CHECKED;

/* "nofile=1024 nproc=100:200" (soft and hard), apart by blanks or commas, as the engine's
 * Ulimits; NULL for none. */
int docker_amount_ulimits(const char *setting, const char *text, cJSON **out,
                          struct err *err) CHECKED;
#endif
