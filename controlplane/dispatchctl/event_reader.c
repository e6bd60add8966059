/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/event_reader.h"

#include <string.h>

int event_reader_feed(struct event_reader *reader, const char *bytes, size_t size,
                      struct err *err)
{
    buf_drop_front(&reader->waiting, reader->taken);
    reader->taken = 0;
    if (reader->data.size > EVENT_MAX_BYTES
        || !buf_append_within(&reader->waiting, bytes, size, EVENT_MAX_BYTES))
        return err_set(err, ERR_TOO_LARGE, "an event is larger than %d bytes", EVENT_MAX_BYTES);
    return 0;
}

/* The next whole line, without its end and NUL-terminated in place; NULL: there is none. */
static char *next_line(struct event_reader *reader, size_t *out_size)
{
    char *begin = reader->waiting.data ? reader->waiting.data + reader->taken : NULL;
    size_t left = begin ? reader->waiting.size - reader->taken : 0;

    if (left && reader->after_cr && *begin == '\n') {
        reader->after_cr = false;
        begin++;
        left--;
        reader->taken++;
    }
    for (size_t i = 0; i < left; i++) {
        if (begin[i] != '\n' && begin[i] != '\r')
            continue;
        reader->after_cr = begin[i] == '\r';
        reader->taken += i + 1;
        begin[i] = '\0';
        *out_size = i;
        return begin;
    }
    if (left)
        reader->after_cr = false;
    return NULL;
}

static void keep(char *out, size_t room, const char *value)
{
    if (strlen(value) < room)
        memcpy(out, value, strlen(value) + 1);
}

static void take_field(struct event_reader *reader, char *line, size_t size)
{
    char *colon = memchr(line, ':', size);
    char *value = colon ? colon + 1 : line + size;

    if (colon)
        *colon = '\0';
    value += *value == ' ';
    if (strcmp(line, "data") == 0) {
        if (reader->has_data)
            buf_append(&reader->data, "\n", 1);
        buf_append(&reader->data, value, (size_t)(line + size - value));
        reader->has_data = true;
    } else if (strcmp(line, "event") == 0) {
        keep(reader->type, sizeof(reader->type), value);
    } else if (strcmp(line, "id") == 0) {
        keep(reader->last_id, sizeof(reader->last_id), value);
    }
}

static void clear_event(struct event_reader *reader)
{
    buf_clear(&reader->data);
    *reader->type = '\0';
    reader->has_data = false;
    reader->handed_out = false;
}

bool event_reader_next(struct event_reader *reader, struct event *out)
{
    size_t size;

    if (reader->handed_out)
        clear_event(reader);
    for (char *line; (line = next_line(reader, &size));) {
        bool whole = size == 0 && reader->has_data;

        if (whole) {
            reader->handed_out = true;
            *out = (struct event){.id = reader->last_id,
                                  .type = *reader->type ? reader->type : "message",
                                  .data = reader->data.data ? reader->data.data : ""};
            return true;
        }
        if (size == 0)
            *reader->type = '\0';
        else
            take_field(reader, line, size);
    }
    return false;
}

void event_reader_restart(struct event_reader *reader)
{
    buf_clear(&reader->waiting);
    clear_event(reader);
    reader->taken = 0;
    reader->after_cr = false;
}

void event_reader_done(struct event_reader *reader)
{
    buf_done(&reader->waiting);
    buf_done(&reader->data);
}
