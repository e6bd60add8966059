/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GOOGLEAPIS_TOKEN_SOURCE_H
#define GOOGLEAPIS_TOKEN_SOURCE_H
#include "base/secret.h"
#include "json/json.h"

#include <stdint.h>

/*
 * Where access tokens for Google's APIs come from, in this order: one that was given (for
 * tests: it never changes), a service account's key file, the metadata server of the machine or
 * pod we run on. The last is asked at $GCE_METADATA_HOST where that is set, without a proxy.
 * Nothing is kept here: credentials.h does that. Safe from any thread.
 *
 * https://developers.google.com/identity/protocols/oauth2/service-account#httprest
 * https://cloud.google.com/compute/docs/metadata/overview
 */
struct token_source;

struct token_source_options {
    const struct secret *access_token; /* NULL: none. Copied */
    const char *key_file;              /* NULL: none */
    const char *ca_file;               /* for the token endpoint; NULL: the system's */
};

/* ERR_INVALID, ERR_NOT_FOUND, ERR_DENIED name the file. Nobody is asked yet. */
struct token_source *token_source_new(const struct token_source_options *options,
                                      struct err *err) CHECKED;
void token_source_stop(struct token_source *source); /* ends a call under way */
void token_source_free(struct token_source *source);
DEFINE_SCOPED(token_source)

/* For logs: "the metadata server at ...", never a secret. */
const char *token_source_name(const struct token_source *source);

struct access_token {
    struct secret *secret;
    int64_t life_ms; /* from now; 0: it has no end that we know of */
};

/* A new one. ERR_DENIED: who we are isn't accepted; ERR_UNAVAILABLE: no answer for now. */
int token_source_fetch(struct token_source *source, struct access_token *out,
                       struct err *err) CHECKED;

/* The answer of a token endpoint: {"access_token", "expires_in", "token_type"}. ERR_UPSTREAM.
 */
int access_token_read(const cJSON *answer, struct access_token *out, struct err *err) CHECKED;
#endif
