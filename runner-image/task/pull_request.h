/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_PULL_REQUEST_H
#define RUNNER_PULL_REQUEST_H
#include "net/net.h"

/*
 * Opening the pull request, once. GitHub has no idempotency key for it, so after an answer
 * that leaves open whether it happened (time-out, 5xx) we look before we ask again; and "a
 * pull request already exists" is the one we wanted.
 */
struct pull_request {
    const char *api_url; /* https://api.github.com */
    const char *repo;    /* OWNER/NAME */
    const char *title;
    const char *description;
    const char *head; /* a branch of the same repository */
    const char *base;
    bool draft;
};

struct opened_pull_request {
    char *url;  /* for people; the caller frees it */
    bool draft; /* false though asked for: the repository has no drafts */
};

/* At most four tries, and waits of two minutes for GitHub's rate limits, unless stopped. */
int pull_request_open(struct net *net, const struct secret *token,
                      const struct pull_request *wanted, struct opened_pull_request *out,
                      struct err *err) CHECKED;
#endif
