/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_progress.h"

#include <stdio.h>

#include "launch/outcome.h"
#include "json/json.h"

int docker_progress_read(const char *line, size_t size, char out[DOCKER_PROGRESS_SIZE],
                         struct err *err)
{
    struct err ignored = {0};
    scoped_json step = json_parse(line, size, &ignored);
    const char *failure = json_get_str(step, "error");
    const char *status = json_get_str(step, "status");
    const char *layer = json_get_str(step, "id");
    const char *stream = json_get_str(step, "stream");
    struct job_view view = {0};
    char sentence[300];

    *out = '\0';
    if (!failure)
        failure = json_get_str(json_get(step, "errorDetail"), "message");
    if (failure) {
        outcome_set_detail(&view, failure);
        return err_set_code(err, ERR_UPSTREAM, "image_pull", "%s", view.detail);
    }
    if (!status)
        status = stream;
    (void)snprintf(sentence, sizeof(sentence), "%.32s%s%.200s", layer && status ? layer : "",
                   layer && status ? ": " : "", status ? status : "");
    outcome_set_detail(&view, sentence);
    (void)snprintf(out, DOCKER_PROGRESS_SIZE, "%s", view.detail);
    return 0;
}
