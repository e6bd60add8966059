/* SPDX-License-Identifier: Apache-2.0 */
#include "config/receivers.h"

#include <string.h>

#include "base/alloc.h"
#include "model/run.h"
#include "net/address.h"

#define EVENT_PREFIX "run."

void receivers_done(struct config_receivers *receivers)
{
    for (size_t i = 0; i < receivers->count; i++) {
        free(receivers->all[i].url);
        secret_free(receivers->all[i].secret);
    }
    free(receivers->all);
    *receivers = (struct config_receivers){0};
}

/* --- One ---------------------------------------------------------------------------------- */

/* Anywhere: unlike a client, the operator may point at a private address. No password in it. */
static int check_url(const struct config_receivers *receivers, const char *url, struct err *err)
{
    static const struct address_range anywhere[] = {{.family = AF_INET}, {.family = AF_INET6}};

    if (strnlen(url, RECEIVER_URL_MAX_BYTES + 1) > RECEIVER_URL_MAX_BYTES)
        return err_set(err, ERR_INVALID, "url: longer than %d bytes", RECEIVER_URL_MAX_BYTES);
    if (address_check_url(url, anywhere, ARRAY_SIZE(anywhere), err) < 0)
        return err_wrap(err, "url");
    for (size_t i = 0; i < receivers->count; i++)
        if (receivers->all[i].url && strcmp(receivers->all[i].url, url) == 0)
            return err_set(err, ERR_INVALID, "url: this one is here twice");
    return 0;
}

static int add_event(const char *name, unsigned *events, struct err *err)
{
    enum run_status status;
    size_t prefix = strlen(EVENT_PREFIX);

    if (name && strncmp(name, EVENT_PREFIX, prefix) == 0
        && run_status_parse(name + prefix, &status) && run_status_is_terminal(status)) {
        *events |= 1U << status;
        return 0;
    }
    return err_set(err, ERR_INVALID,
                   "events: expected some of run.completed, run.failed, run.stopped");
}

static int read_events(const cJSON *list, unsigned *out, struct err *err)
{
    const cJSON *item;
    unsigned events = 0;

    if (!cJSON_IsArray(list) || !list->child)
        return err_set(err, ERR_INVALID, "events: expected a list of events");
    cJSON_ArrayForEach(item, list)
    {
        if (add_event(cJSON_GetStringValue(item), &events, err) < 0)
            return -1;
    }
    *out = events;
    return 0;
}

struct receiver_yaml {
    const char *url;
    const char *secret;
    const cJSON *events;
};

static const struct jfield receiver_fields[] = {
    JFIELD(struct receiver_yaml, url, J_REQUIRED),
    JFIELD(struct receiver_yaml, secret, J_OPTIONAL),
    JFIELD(struct receiver_yaml, events, J_OPTIONAL),
};

static int read_one(struct config_receivers *out, const cJSON *item, struct err *err)
{
    struct receiver_yaml given = {0};
    struct config_receiver *receiver;
    unsigned events = 1U << RUN_COMPLETED | 1U << RUN_FAILED | 1U << RUN_STOPPED;

    if (json_read(item, receiver_fields, &given, err) < 0 || check_url(out, given.url, err) < 0
        || (given.events && read_events(given.events, &events, err) < 0))
        return -1;
    if (given.secret && !*given.secret)
        return err_set(err, ERR_INVALID, "secret: expected some text");
    if (out->count == RECEIVERS_MAX)
        return err_set(err, ERR_INVALID, "more than %d receivers", RECEIVERS_MAX);
    out->all = xrealloc(out->all, (out->count + 1) * sizeof(*out->all));
    receiver = &out->all[out->count++];
    *receiver = (struct config_receiver){
        .url = xstrdup(given.url), .secret = secret_new(given.secret), .events = events};
    return 0;
}

/* --- All ---------------------------------------------------------------------------------- */

static int complain(const struct yaml *yaml, const cJSON *node, struct err *err)
{
    return err_wrap(err, "%s:%d: deliveries.receivers", yaml_name(yaml), yaml_line(yaml, node));
}

int receivers_read(struct config_receivers *out, const struct yaml *yaml, const cJSON *list,
                   struct err *err)
{
    const cJSON *item;

    if (cJSON_IsNull(list))
        return 0;
    if (!cJSON_IsArray(list)) {
        (void)err_set(err, ERR_INVALID, "expected a list of receivers");
        return complain(yaml, list, err);
    }
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsObject(item))
            (void)err_set(err, ERR_INVALID, "expected a map with a url");
        else if (read_one(out, item, err) == 0)
            continue;
        return complain(yaml, item, err);
    }
    return 0;
}
