/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine says: its log in frames, an archive from a container, containers, events, a
 * pull's progress. However the log comes in pieces, the same text comes out. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "launch/docker_frames.h"
#include "launch/docker_progress.h"
#include "launch/docker_seen.h"
#include "launch/docker_tar.h"

#define LIMIT 64

static bool read_frames(const char *text, size_t size, size_t at_a_time, struct buf *out)
{
    struct docker_frames frames = {.limit_bytes = LIMIT, .out = out};
    struct err err = {0};

    for (size_t i = 0; i < size; i += at_a_time)
        if (docker_frames_add(&frames, text + i, size - i < at_a_time ? size - i : at_a_time,
                              &err)
            < 0)
            return false;
    docker_frames_end(&frames);
    return true;
}

static void fuzz_frames(const char *text, size_t size)
{
    scoped_buf whole = {0};
    scoped_buf pieces = {0};
    bool good = read_frames(text, size, size + 1, &whole);

    if (read_frames(text, size, 3, &pieces) != good || whole.size > 2 * LIMIT)
        abort();
    if (good
        && (whole.size != pieces.size || whole.size > LIMIT
            || (whole.size && memcmp(whole.data, pieces.data, whole.size) != 0)))
        abort();
}

static void fuzz_tar(const char *text, size_t size)
{
    const char *data;
    size_t length;

    if (docker_tar_first_file(text, size, &data, &length)
        && (data < text || length > size || data + length > text + size))
        abort();
}

static void fuzz_json(const char *text, size_t size)
{
    struct err err = {0};
    scoped_json value = json_parse(text, size, &err);
    struct docker_seen_list list;
    struct docker_facts facts;
    struct job_view view;
    struct id run;
    char said[256];
    int attempt;

    (void)!docker_progress_read(text, size, said, &err);
    if (!value)
        return;
    docker_facts_of_container(value, "here", &facts);
    docker_facts_view(&facts, text, size, &view);
    (void)docker_facts_of_event(value, &run, &attempt);
    docker_seen_read(value, "here", &list);
    docker_seen_compare(&list, &list, NULL, NULL);
    docker_seen_done(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;

    json_setup();
    fuzz_frames(text, size);
    fuzz_tar(text, size);
    fuzz_json(text, size);
    return 0;
}
