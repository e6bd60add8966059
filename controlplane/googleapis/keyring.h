/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GOOGLEAPIS_KEYRING_H
#define GOOGLEAPIS_KEYRING_H
#include "googleapis/token_source.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 * An access token that is fresh whenever somebody asks. It is renewed some minutes before its
 * end, by whoever asks first; others go on with the one there is, and wait only where there is
 * none. Where renewing fails the old one is used to its end, and the log says so. Safe from any
 * thread.
 */
struct keyring;

/* A metadata server hands out the same token until about five minutes before its end. */
#define KEYRING_EARLY_MS 225000
/* One that ends sooner isn't given: it could end on its way. */
#define KEYRING_LEFT_MIN_MS 10000
/* Nobody is asked more often, whatever comes back. */
#define KEYRING_PAUSE_MS 5000

/* One token. Doesn't change; shared by those who hold it. */
struct pass {
    struct secret *token;
    uint64_t serial; /* rising */
    _Atomic int holders;
};

/* Takes the source. */
struct keyring *keyring_new(struct token_source *source) CHECKED;
void keyring_stop(struct keyring *keyring); /* who asks, or waits, gets ERR_UNAVAILABLE */
void keyring_free(struct keyring *keyring);
DEFINE_SCOPED(keyring)

/* For pass_free. ERR_UNAVAILABLE: there is none for now; ERR_DENIED: we aren't let in. */
struct pass *keyring_get(struct keyring *keyring, struct err *err) CHECKED;
void pass_free(struct pass *pass);
DEFINE_SCOPED(pass)

/* A server didn't accept `refused`. True when another try is worth it: there is a newer one. */
bool keyring_renew(struct keyring *keyring, const struct pass *refused);
#endif
