/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/auth.h"
#include "base/clock.h"
#include "store/run_store.h"

/* After a run's end its token still opens the callbacks for repeats of a report whose answer
 * was lost (CONTRACT section 6). */
#define TASK_TOKEN_GRACE_MS (10 * 60 * 1000)

/* Soon after the launchers answer, all is settled. */
#define RESTORING_RETRY_S 5

static int read_attempt(const struct request *req, int *out, struct err *err)
{
    const char *text = request_header(req, "X-Dispatch-Attempt");
    char *end;
    long attempt;

    if (!text)
        return err_set_field(err, "X-Dispatch-Attempt", "required");
    attempt = strtol(text, &end, 10);
    if (end == text || *end || attempt < 1 || attempt > 1000000)
        return err_set_field(err, "X-Dispatch-Attempt", "expected a whole number from 1");
    *out = (int)attempt;
    return 0;
}

static bool token_is_good(const struct run *run, const char *bearer)
{
    uint8_t given[SHA256_SIZE];

    token_hash(bearer, given);
    return bytes_equal(given, run->task_token_hash, sizeof(given))
           && (!run_status_is_terminal(run->status)
               || clock_steady_ms() - run->ended_ms <= TASK_TOKEN_GRACE_MS);
}

int authorize_runner(struct app *app, struct request *req, struct err *err)
{
    const char *bearer = request_bearer(req);
    struct err missing = {0};
    char text[ID_TEXT_SIZE];
    struct id id;
    int attempt;

    if (!bearer || !task_token_parse(bearer, &id))
        return auth_refuse(err, "a run's task token is needed");
    if (service_is_restoring(app->service)) {
        (void)err_set_code(err, ERR_UNAVAILABLE, "restoring",
                           "the database was restored and the run isn't settled yet");
        err->retry_after_s = RESTORING_RETRY_S;
        return -1;
    }
    scoped(run) run = run_store_load(app->db, id, &missing);
    if (!run && missing.kind != ERR_NOT_FOUND) {
        *err = missing;
        return -1;
    }
    if (!run || !token_is_good(run, bearer))
        return auth_refuse(err, "the task token is unknown or has ended with its run");
    if (read_attempt(req, &attempt, err) < 0)
        return -1;
    if (attempt != run->attempt)
        return err_set_code(err, ERR_CONFLICT, "stale_attempt",
                            "attempt %d is not the current one", attempt);
    id_text(id, text);
    struct principal *principal = auth_let_in(req, "runner:%s", text);
    principal->run = TAKE(run);
    principal->attempt = attempt;
    return 0;
}
