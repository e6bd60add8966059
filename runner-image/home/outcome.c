/* SPDX-License-Identifier: Apache-2.0 */
#include "home/outcome.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/log.h"

void outcome_done(struct outcome *outcome)
{
    free(outcome->pr_url);
    free(outcome->branch);
    free(outcome->summary);
    free(outcome->result);
    cJSON_Delete(outcome->usage);
    *outcome = (struct outcome){0};
}

const char *outcome_status_name(enum outcome_status status)
{
    switch (status) {
    case OUTCOME_COMPLETED:
        return "completed";
    case OUTCOME_FAILED:
        return "failed";
    case OUTCOME_STOPPED:
        return "stopped";
    }
    return "failed";
}

int outcome_fail(struct outcome *outcome, const char *code, const struct err *err)
{
    outcome->status = OUTCOME_FAILED;
    outcome->error_code = code;
    (void)snprintf(outcome->error, sizeof(outcome->error), "%s", err->text);
    return -1;
}

static const char *or_null(const char *text)
{
    return text[0] ? text : NULL;
}

/* The caller frees it. */
static char *redacted_text(const cJSON *document, struct redaction *redaction)
{
    char *text = json_text(document);

    redaction_apply(redaction, text);
    return text;
}

char *outcome_report(const struct outcome *outcome, const char *run_id,
                     struct redaction *redaction)
{
    scoped_json report = jobj(
        {"task_id", jstr(run_id)}, {"status", jstr(outcome_status_name(outcome->status))},
        {"pr_url", jstr(outcome->pr_url)}, {"branch_name", jstr(outcome->branch)},
        {"draft", jtrue(outcome->draft)}, {"partial", jtrue(outcome->partial)},
        {"summary", jstr(outcome->summary)}, {"result", jstr(outcome->result)},
        {"error", jstr(or_null(outcome->error))}, {"error_code", jstr(outcome->error_code)},
        {"usage", outcome->usage ? cJSON_Duplicate(outcome->usage, true) : NULL});

    return redacted_text(report, redaction);
}

char *outcome_line(const struct outcome *outcome, const char *run_id,
                   struct redaction *redaction)
{
    scoped_json line = jobj(
        {"run_id", jstr(run_id)}, {"status", jstr(outcome_status_name(outcome->status))},
        {"pr_url", jstr(outcome->pr_url)}, {"branch_name", jstr(outcome->branch)},
        {"error_code", jstr(outcome->error_code)}, {"error", jstr(or_null(outcome->error))});

    return redacted_text(line, redaction);
}

/* The agent may have been where the log lies: a pipe there would keep us waiting for a reader,
 * a link would have us write somewhere else. */
static int open_termination_log(const char *path)
{
    scoped_fd log =
        open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0600);
    struct stat seen;

    if (log < 0 || fstat(log, &seen) < 0)
        return -1;
    if (!S_ISREG(seen.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    return ftruncate(log, 0) < 0 ? -1 : TAKE_FD(log);
}

void outcome_write(const char *line, const char *termination_log)
{
    scoped_fd log = -1;

    (void)printf("%s\n", line);
    (void)fflush(stdout);
    if (!termination_log)
        return;
    log = open_termination_log(termination_log);
    if (log < 0 || dprintf(log, "%s\n", line) < 0)
        log_warn("the termination log can't be written, ignoring", KV("path", termination_log),
                 KV("error", (const char *)strerror(errno)));
}
