/* SPDX-License-Identifier: Apache-2.0 */
/* Watching runs: server-sent events of one or of all, and a run's log. */
#include <string.h>

#include "api/event_text.h"
#include "api/stream_answer.h"
#include "base/alloc.h"
#include "store/journal.h"

#define EVENT_STREAM "text/event-stream"
#define LOG_TEXT "text/plain; charset=utf-8"
#define HEARTBEAT ":\n\n"
/* After how long a client that lost its connection comes back. */
#define RETRY_LINE "retry: 2000\n\n"
#define EVENT_ID_DIGITS_MAX 18
#define JOB_LOG_MAX_BYTES (1024 * 1024) /* from its end */

/* --- Where to begin ------------------------------------------------------------------------
 */

/* False in *out_given when the client has seen nothing yet. */
static int read_last_id(const struct request *req, int64_t *out, bool *out_given,
                        struct err *err)
{
    const char *text = request_header(req, "Last-Event-ID");
    size_t digits = text ? strspn(text, "0123456789") : 0;

    *out = 0;
    *out_given = text != NULL;
    if (!text)
        return 0;
    if (!digits || digits > EVENT_ID_DIGITS_MAX || text[digits])
        return err_set_field(err, "Last-Event-ID", "this is no id of an event");
    *out = strtoll(text, NULL, 10);
    return 0;
}

/* Events of before a client's id are behind it; an id that was never given out is one of
 * another database: such a client begins with what comes now. */
static int begin_at(struct app *app, bool from_now, int64_t *after, struct err *err)
{
    int64_t newest = 0;

    if (journal_newest(app->db, &newest, err) < 0)
        return -1;
    if (from_now || *after > newest)
        *after = newest;
    return 0;
}

static struct run *watched_run(struct app *app, const struct request *req, const char *param,
                               struct err *err)
{
    struct id id;

    if (!id_parse(request_param(req, param), &id)) {
        (void)err_set(err, ERR_NOT_FOUND, "there is no such run");
        return NULL;
    }
    return principal_load_run(app, req, id, err);
}

/* What the journal lacks of its beginning. */
static char *beginning_of(const struct live_face *face, const struct run *run, bool is_new)
{
    return is_new && !run->owner ? event_text_queued(face, run->id) : xstrdup("");
}

/* --- Events --------------------------------------------------------------------------------
 */

static const char *const no_query[] = {NULL};

static int stream_run(struct app *app, struct request *req, const char *param,
                      const struct live_face *face, struct err *err)
{
    int64_t after = 0;
    int64_t newest = 0;
    bool resumes = false;
    bool over = false;

    scoped(run) run = watched_run(app, req, param, err);
    if (!run || request_query_only(req, no_query, err) < 0
        || read_last_id(req, &after, &resumes, err) < 0
        || journal_newest_of(app->db, run->id, &newest, &over, err) < 0)
        return -1;
    if (resumes && over && after >= newest)
        return 204; /* tells an EventSource not to come back */
    if (begin_at(app, false, &after, err) < 0)
        return -1;
    scoped_str beginning = beginning_of(face, run, !resumes);
    struct stream_answer answer = {
        .face = face,
        .query = {.run = run->id, .after = after},
        .content_type = EVENT_STREAM,
        .heartbeat = HEARTBEAT,
        .greeting = xasprintf(RETRY_LINE "%s", beginning),
    };
    return stream_answer(app, req, &answer, err);
}

int stream_task(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    (void)out;
    return stream_run(app, req, "task_id", &task_events, err);
}

int stream_agent(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    (void)out;
    return stream_run(app, req, "id", &agent_events, err);
}

int stream_all(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    const struct principal *principal = principal_of(req);
    int64_t after = 0;
    bool resumes = false;

    (void)out;
    if (request_query_only(req, no_query, err) < 0
        || read_last_id(req, &after, &resumes, err) < 0
        || begin_at(app, !resumes, &after, err) < 0)
        return -1;
    struct stream_answer answer = {
        .face = &task_events,
        .query = {.owner = principal->owner,
                  .shared = principal->sees_shared,
                  .all = principal->sees_all,
                  .after = after},
        .content_type = EVENT_STREAM,
        .heartbeat = HEARTBEAT,
        .greeting = xstrdup(RETRY_LINE),
    };
    return stream_answer(app, req, &answer, err);
}

/* --- Logs ----------------------------------------------------------------------------------
 */

static int read_choice(const struct request *req, const char *name, const char *usual,
                       const char *other, bool *out_other, struct err *err)
{
    const char *text = request_query(req, name);

    *out_other = text && strcmp(text, other) == 0;
    if (!text || *out_other || strcmp(text, usual) == 0)
        return 0;
    return err_set_field(err, name, "expected %s or %s", usual, other);
}

/* What the backend has of the job's own output. */
static int show_job_log(struct app *app, struct request *req, const struct run *run,
                        struct err *err)
{
    scoped_buf text = {0};

    if (service_job_log(app->service, run, JOB_LOG_MAX_BYTES, &text, err) < 0)
        return -1;
    size_t size = text.size;
    scoped_str bytes = buf_take(&text);
    event_text_tame(bytes, size);
    request_set_text(req, LOG_TEXT, TAKE(bytes), size);
    return 200;
}

int stream_task_log(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    static const char *const known[] = {"follow", "source", NULL};
    bool follow = false;
    bool of_job = false;

    (void)out;
    scoped(run) run = watched_run(app, req, "task_id", err);
    if (!run || request_query_only(req, known, err) < 0
        || read_choice(req, "follow", "0", "1", &follow, err) < 0
        || read_choice(req, "source", "run", "job", &of_job, err) < 0)
        return -1;
    if (of_job && follow)
        return err_set_field(err, "follow", "the log of a job can't be followed");
    if (of_job)
        return show_job_log(app, req, run, err);
    struct stream_answer answer = {
        .face = &log_lines,
        .query = {.run = run->id},
        .content_type = LOG_TEXT,
        .greeting = beginning_of(&log_lines, run, true),
        .once = !follow,
    };
    return stream_answer(app, req, &answer, err);
}
