/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/outcome.h"

#include <string.h>

#include "json/json.h"

static const struct {
    const char *status;
    int exit_code;
} ends[] = {
    {"completed", OUTCOME_EXIT_COMPLETED},
    {"failed", OUTCOME_EXIT_FAILED},
    {"stopped", OUTCOME_EXIT_STOPPED},
};

void outcome_set_detail(struct job_view *view, const char *sentence)
{
    size_t length = strnlen(sentence, sizeof(view->detail) - 1);

    /* Not through the middle of a UTF-8 character. */
    if (sentence[length])
        while (length > 0 && ((unsigned char)sentence[length] & 0xc0) == 0x80)
            length--;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)sentence[i];

        view->detail[i] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    }
    view->detail[length] = '\0';
}

static const int *exit_code_of(const char *status)
{
    for (size_t i = 0; status && i < ARRAY_SIZE(ends); i++)
        if (strcmp(status, ends[i].status) == 0)
            return &ends[i].exit_code;
    return NULL;
}

bool outcome_read(const char *text, size_t size, struct job_view *out)
{
    struct err err;
    scoped_json outcome = size <= OUTCOME_MAX_BYTES ? json_parse(text, size, &err) : NULL;
    const int *exit_code = exit_code_of(json_get_str(outcome, "status"));
    const char *code = json_get_str(outcome, "error_code");
    const char *sentence = json_get_str(outcome, "error");

    if (!exit_code)
        return false;
    if (!sentence)
        sentence = json_get_str(outcome, "summary");
    out->exit_code = *exit_code;
    out->reason = FAILURE_NONE;
    if (code && *exit_code == OUTCOME_EXIT_FAILED && !failure_code_parse(code, &out->reason))
        out->reason = FAILURE_NONE;
    outcome_set_detail(out, sentence ? sentence : "");
    return true;
}
