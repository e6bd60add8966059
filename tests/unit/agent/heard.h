/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_HEARD_H
#define TESTS_HEARD_H
#include <stdarg.h>
#include <string.h>

#include "test.h"

#include "home/events.h"

/* In place of home/events: what would be told, a line each, "type {fields}". */
static struct buf heard;

void events_add(struct events *events, const char *type, cJSON *fields)
{
    scoped_json owned = fields;
    scoped_str text = json_text(owned);

    (void)events;
    buf_printf(&heard, "%s %s\n", type, text);
}

void events_warn(struct events *events, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    events_add(events, "warning", jobj({"message", jstr(text)}));
}

__attribute__((unused)) static const char *heard_text(void)
{
    return heard.data ? heard.data : "";
}

__attribute__((unused)) static size_t heard_count(const char *what)
{
    size_t count = 0;

    for (const char *at = heard_text(); (at = strstr(at, what)); at += strlen(what))
        count++;
    return count;
}
#endif
