/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_OVERRIDES_H
#define CONFIG_OVERRIDES_H
#include "base/err.h"
#include "model/run.h"
#include "yaml/yaml.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What runs get where their request doesn't say: for all runs, and in the maps `agents` and
 * `repositories` of the YAML file for those of one agent or one repository.
 *
 *     agents:
 *       opencode: {model: anthropic/claude-sonnet-4-5, max_cost_usd: 5}
 *     repositories:
 *       octo/hello: {max_tokens: 200000, max_in_flight: 2, priority: 800, launcher: docker}
 */
struct run_defaults {
    char *model;        /* NULL: not said */
    char *provider;     /* NULL: not said */
    int64_t max_tokens; /* 0: not said, as below */
    double max_cost_usd;
    int max_turns; /* of the agent */
};

#define RUN_TOKENS_MAX INT64_C(1000000000000)
#define RUN_COST_USD_MAX 1000000
#define RUN_TURNS_MAX 100000

void run_defaults_done(struct run_defaults *defaults);

/* `priority` is what runs get whose request doesn't say, `launcher` those whose token doesn't.
 * The three are repositories' only. */
#define MAX_IN_FLIGHT_MAX 100000
struct override {
    char *name;
    struct run_defaults values;
    int priority;      /* RUN_PRIORITY_UNSAID */
    int max_in_flight; /* 0: not said */
    char *launcher;    /* NULL: not said */
};

struct overrides {
    struct override *all;
    size_t count;
};

/* Reads a map whose names `name_valid` takes; `queue`: may they say what is repositories' only?
 * ERR_INVALID: "FILE:LINE: KEY.NAME.MEMBER: why". */
int overrides_read(struct overrides *out, const struct yaml *yaml, const cJSON *map,
                   bool (*name_valid)(const char *name), bool queue, struct err *err) CHECKED;
void overrides_done(struct overrides *overrides);

/*
 * Fills each member of `out` that says nothing yet from `all`, as overridden for this agent
 * and, before that, this repository (NULL: none). Texts are borrowed: no run_defaults_done for
 * `out`.
 */
struct config;
void run_defaults_fill(struct run_defaults *out, const struct config *config, const char *repo,
                       const char *agent);
#endif
