/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/job_ref.h"

#include <stdio.h>
#include <string.h>

#define PREFIX "run-"
#define ID_AT (sizeof(PREFIX) - 1)
#define ATTEMPT_AT (ID_AT + ID_LENGTH + 1)

struct job_ref job_ref_make(struct id run, int attempt)
{
    struct job_ref ref;
    char id[ID_TEXT_SIZE];

    id_text(run, id);
    (void)snprintf(ref.text, sizeof(ref.text), PREFIX "%s-%d", id, attempt);
    return ref;
}

/* Decimal without a sign, blanks or leading zeros: one name for one attempt. */
static bool take_attempt(const char *text, int *out)
{
    int value = 0;

    if (*text < '1' || *text > '9')
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (*text - '0');
        if (value > JOB_ATTEMPT_MAX)
            return false;
    }
    *out = value;
    return true;
}

bool job_ref_parse(const char *text, struct id *out_run, int *out_attempt)
{
    char id[ID_TEXT_SIZE] = {0};

    if (!text || strnlen(text, JOB_REF_SIZE) <= ATTEMPT_AT || strncmp(text, PREFIX, ID_AT) != 0
        || text[ATTEMPT_AT - 1] != '-')
        return false;
    memcpy(id, text + ID_AT, ID_LENGTH);
    return id_parse(id, out_run) && take_attempt(text + ATTEMPT_AT, out_attempt);
}
