/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_GATEWAY_REFUSAL_H
#define RUNNER_GATEWAY_REFUSAL_H
#include "gateway/usage_reader.h"

/*
 * What the gateway itself answers, in the words of the provider that the agent believes to talk
 * to, so that it understands whether to try again.
 */
enum refusal {
    REFUSAL_NONE,
    REFUSAL_KEY,
    REFUSAL_NOT_SERVED,
    REFUSAL_TOO_LARGE,
    REFUSAL_BUDGET, /* final: none of the agents tries again after it */
    REFUSAL_BUSY,
    REFUSAL_UPSTREAM, /* no answer could be had */
    REFUSAL_SILENCE,
    REFUSAL_STOPPING,
};

int refusal_status(enum refusal refusal);
/* NULL: the refusal's own sentence. */
char *refusal_body(enum refusal refusal, enum model_protocol protocol,
                   const char *sentence) CHECKED;
#endif
