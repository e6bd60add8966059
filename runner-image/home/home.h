/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_HOME_H
#define RUNNER_HOME_H
#include "home/settings.h"
#include "net/net.h"

/*
 * Home is the control plane that started us; these are the six calls we may make there. Each
 * carries the task token and the attempt, and is tried again when home is away. Refusals:
 * ERR_UNAUTHENTICATED (401: the token is not, or no longer, good) and ERR_CONFLICT (409:
 * another runner has this run, or it has ended). Safe from any thread.
 */
struct home;

/* `net` and `settings` must outlive it. */
struct home *home_new(struct net *net, const struct settings *settings) CHECKED;
void home_free(struct home *home);
DEFINE_SCOPED(home)

/* The run, if it is ours. The document is the caller's. */
cJSON *home_claim(struct home *home, const char *runner_id, struct err *err) CHECKED;

struct git_token {
    struct secret *secret;
    int64_t expires_ms; /* wall clock; 0: not known */
};

/* ERR_DENIED when GitHub gives none. On success the old secret in `out` is released. */
int home_git_token(struct home *home, struct git_token *out, struct err *err) CHECKED;

/* The headers that the run's tools are called with, {TOOL: {NAME: value}}: secrets. The
 * document is the caller's, to be wiped. */
cJSON *home_tool_headers(struct home *home, struct err *err) CHECKED;

/* `events`: the members of the array, as JSON. */
int home_send_events(struct home *home, const struct buf *events, int timeout_ms,
                     struct err *err) CHECKED;

int home_heartbeat(struct home *home, bool *out_stop, struct err *err) CHECKED;

/*
 * Reports the end, byte for byte the same, until home has it, but for no longer than
 * HOME_REPORT_FOR_MS: a control plane being upgraded is back by then. ERR_CONFLICT and
 * ERR_UNAUTHENTICATED end it early: someone else's report stands.
 */
#define HOME_REPORT_FOR_MS (12 * 60 * 1000)
int home_complete(struct home *home, const char *report, struct err *err) CHECKED;
#endif
