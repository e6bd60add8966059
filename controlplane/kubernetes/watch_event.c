/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/watch_event.h"

#include <string.h>

void watch_event_done(struct watch_event *event)
{
    cJSON_Delete(event->line);
    *event = (struct watch_event){0};
}

const char *resource_version_of(const cJSON *object)
{
    const char *version = json_get_str(json_get(object, "metadata"), "resourceVersion");

    return version && *version
                   && strnlen(version, RESOURCE_VERSION_MAX + 1) <= RESOURCE_VERSION_MAX
               ? version
               : NULL;
}

static enum watch_event_type type_of(const char *name)
{
    static const struct {
        const char *name;
        enum watch_event_type type;
    } types[] = {
        {"ADDED", WATCH_SET},         {"MODIFIED", WATCH_SET}, {"DELETED", WATCH_DELETED},
        {"BOOKMARK", WATCH_BOOKMARK}, {"ERROR", WATCH_ERROR},
    };

    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].type;
    return WATCH_UNKNOWN;
}

static int read_parts(struct watch_event *event, struct err *err)
{
    const char *type = json_get_str(event->line, "type");

    event->object = json_get(event->line, "object");
    if (!type || !cJSON_IsObject(event->object))
        return err_set(err, ERR_UPSTREAM, "an event of the watch without type or object");
    event->type = type_of(type);
    if (event->type == WATCH_ERROR || event->type == WATCH_UNKNOWN)
        return 0;
    event->resource_version = resource_version_of(event->object);
    if (!event->resource_version)
        return err_set(err, ERR_UPSTREAM, "an event of the watch without resourceVersion");
    return 0;
}

int watch_event_read(const char *line, size_t size, const char *const *left_out,
                     struct watch_event *out, struct err *err)
{
    struct watch_event event = {.line = json_parse_without(line, size, left_out, err)};

    if (!event.line) {
        (void)err_wrap(err, "an event of the watch");
        err->kind = ERR_UPSTREAM;
        return -1;
    }
    if (read_parts(&event, err) < 0) {
        watch_event_done(&event);
        return -1;
    }
    *out = event;
    return 0;
}
