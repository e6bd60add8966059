/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBERNETES_WATCH_EVENT_H
#define KUBERNETES_WATCH_EVENT_H
#include "json/json.h"

/* One line of a watch: {"type": "ADDED", "object": {...}}. */
enum watch_event_type {
    WATCH_SET, /* ADDED or MODIFIED */
    WATCH_DELETED,
    WATCH_BOOKMARK,
    WATCH_ERROR,   /* the object is a Status */
    WATCH_UNKNOWN, /* a type of a later Kubernetes */
};

/* Longer ones than the API server's exist nowhere; they go into a URL. */
#define RESOURCE_VERSION_MAX 128

struct watch_event {
    cJSON *line; /* owns the rest */
    enum watch_event_type type;
    const cJSON *object;
    const char *resource_version; /* NULL with WATCH_ERROR and WATCH_UNKNOWN */
};

#define scoped_watch_event __attribute__((cleanup(watch_event_done))) struct watch_event

/* ERR_UPSTREAM unless it is one. `left_out` is json_parse_without's. */
int watch_event_read(const char *line, size_t size, const char *const *left_out,
                     struct watch_event *out, struct err *err) CHECKED;
void watch_event_done(struct watch_event *event);

/* An object's, or a list's; NULL unless it can be used. */
const char *resource_version_of(const cJSON *object);
#endif
