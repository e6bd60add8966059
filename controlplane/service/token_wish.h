/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_TOKEN_WISH_H
#define SERVICE_TOKEN_WISH_H
#include "json/json.h"

/* Checks of what may be wished for tokens of either kind. ERR_INVALID about the field. */
#define TOKEN_NAME_MAX 100
#define TOKEN_LIFE_MAX_DAYS 3660

/* 1 to TOKEN_NAME_MAX bytes that can't rearrange a terminal. NULL passes. */
int token_wish_label(const char *field, const char *text, struct err *err) CHECKED;

/* `expires_at`, RFC 3339, after now and not in another age; NULL is 0, never. */
int token_wish_expiry(const char *text, int64_t now_ms, int64_t *out_ms,
                      struct err *err) CHECKED;
#endif
