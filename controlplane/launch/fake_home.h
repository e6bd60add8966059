/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_FAKE_HOME_H
#define LAUNCH_FAKE_HOME_H
#include "base/id.h"
#include "base/secret.h"
#include "launch/fake_script.h"
#include "net/net.h"

/*
 * The calls home of a fake runner, as the runner protocol has them. Each blocks for its
 * answer. Safe from any thread.
 */
struct fake_home {
    struct net *net;
    const char *url;
    const struct secret *token;
    struct id run;
    int attempt;
    const volatile bool *cancel; /* becomes true: calls end early */
};

enum fake_answer {
    FAKE_ANSWER_OK,
    FAKE_ANSWER_STOP,    /* a heartbeat's answer: end yourself */
    FAKE_ANSWER_REFUSED, /* claimed by another, not current, ended: leave */
    FAKE_ANSWER_NONE,    /* nobody answered or it can't answer now: ask again */
};

/* *out_heartbeat_s: how often it wants to hear; unchanged unless OK. */
enum fake_answer fake_home_claim(const struct fake_home *home, int *out_heartbeat_s);
enum fake_answer fake_home_events(const struct fake_home *home);
enum fake_answer fake_home_heartbeat(const struct fake_home *home);
/* FAKE_COMPLETED, FAKE_FAILED or FAKE_STOPPED; pr_url may be NULL. */
enum fake_answer fake_home_complete(const struct fake_home *home, enum fake_end end,
                                    const char *pr_url);
#endif
