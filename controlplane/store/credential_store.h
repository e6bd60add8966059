/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_CREDENTIAL_STORE_H
#define STORE_CREDENTIAL_STORE_H
#include "store/db.h"

#include "base/scoped.h"

/*
 * The numbers by which runs know whose they are: each credential's name ("key:<16 hex digits>",
 * "personal:<id>", "oidc:OWNER/NAME") has one, given at its first use and for good. All of them
 * are in memory. Calls are safe from any thread.
 */
struct credential_store;

#define CREDENTIALS_MAX 1000000 /* of which each repository with OIDC takes one */

struct credential_store *credential_store_open(struct db *db, struct err *err) CHECKED;
void credential_store_free(struct credential_store *store);
DEFINE_SCOPED(credential_store)

/* The number of that name. The first time it is written, and durable on return: then the call
 * waits for the disk. ERR_UNAVAILABLE, also beyond CREDENTIALS_MAX. */
int credential_store_number(struct credential_store *store, const char *name, int64_t *out,
                            struct err *err) CHECKED;
#endif
