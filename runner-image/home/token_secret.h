/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOME_TOKEN_SECRET_H
#define HOME_TOKEN_SECRET_H
#include "base/err.h"
#include "base/secret.h"

/*
 * The task token out of Google's Secret Manager, on Cloud Run: jobs.run can't give one
 * execution a secret of its own, so the runner reads it as the service account that it runs as,
 * whose access token the metadata server has ($GCE_METADATA_HOST where that is set). `version`
 * is "projects/p/secrets/s/versions/latest"; `api_url` NULL: Secret Manager's. ERR_INVALID: no
 * such name; else why it can't be had.
 */
struct secret *token_secret_fetch(const char *version, const char *api_url, const char *ca_file,
                                  struct err *err) CHECKED;

/* The text in an answer of versions.access. ERR_UPSTREAM. */
struct secret *token_secret_read(const char *answer, size_t size, struct err *err) CHECKED;
#endif
