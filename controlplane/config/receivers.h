/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_RECEIVERS_H
#define CONFIG_RECEIVERS_H
#include "base/err.h"
#include "base/secret.h"
#include "yaml/yaml.h"

#include <stddef.h>

/*
 * Who is told of every run's end, in the YAML file:
 *
 *     deliveries:
 *       receivers:
 *         - url: https://example.com/hooks/dispatch
 *           secret: something long      # default: deliveries.secret
 *           events: [run.failed]        # default: all
 */
#define RECEIVERS_MAX 100
#define RECEIVER_URL_MAX_BYTES 2048

struct config_receiver {
    char *url;
    struct secret *secret; /* NULL: deliveries.secret */
    unsigned events;       /* a bit for each terminal enum run_status */
};

struct config_receivers {
    struct config_receiver *all;
    size_t count;
};

/* Reads the list. ERR_INVALID: "FILE:LINE: deliveries.receivers: why". */
int receivers_read(struct config_receivers *out, const struct yaml *yaml, const cJSON *list,
                   struct err *err) CHECKED;
void receivers_done(struct config_receivers *receivers);
#endif
