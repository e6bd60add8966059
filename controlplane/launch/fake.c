/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/launcher.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "launch/fake_explain.h"
#include "launch/fake_table.h"
#include "launch/job_ref.h"
#include "launch/outcome.h"

/*
 * Jobs that only pretend: no process, no container, but the same life, as long and as
 * troubled as the job's script asks (fake_script.h). With a URL the fake runners call home
 * like real ones. One thread keeps the time for all jobs; a few make the calls, so thousands
 * of jobs at once cost a small struct each. Jobs are gone when the launcher closes.
 *
 * The lock guards all; a job that is busy (in a caller's hands) has no timer, and nobody but
 * that caller moves it on.
 */
#define CALLERS 16
#define USER_AGENT "dispatch-fake-runner/" DISPATCH_VERSION
#define IDLE_WAIT_MS 60000
#define NOTES_MAX_BYTES 4096 /* about; for tests */
#define SECOND_NAME "fake-2"
#define SECOND_PART SECOND_NAME ":"

struct fake {
    pthread_mutex_t lock;
    pthread_cond_t timers_changed;
    pthread_cond_t calls_waiting;
    pthread_t timer;
    pthread_t callers[CALLERS];
    size_t n_callers;
    bool has_timer;
    bool closing; /* also read by net during a call */
    bool is_second;
    struct fake_table table;
    struct fake_job *first_call;
    struct fake_job **last_call;
    struct net *net;
    launcher_changed_fn changed;
    void *changed_ctx;
};

static bool is_closing(const struct fake *fake)
{
    return __atomic_load_n(&fake->closing, __ATOMIC_ACQUIRE);
}

/* --- Moving jobs on ------------------------------------------------------------------- */

/* After a step: the next timer, and word to the service when it is over. Called with the
 * lock, which is let go for the word; the job may be gone afterwards. */
static void settle(struct fake *fake, struct fake_job *job)
{
    struct id run = job->run;
    int attempt = job->attempt;
    bool over = fake_job_is_over(job);

    fake_table_schedule(&fake->table, job);
    (void)pthread_cond_signal(&fake->timers_changed);
    if (!over || !fake->changed)
        return;
    (void)pthread_mutex_unlock(&fake->lock);
    fake->changed(fake->changed_ctx, run, attempt);
    (void)pthread_mutex_lock(&fake->lock);
}

static void queue_call(struct fake *fake, struct fake_job *job)
{
    job->busy = true;
    job->next_call = NULL;
    *fake->last_call = job;
    fake->last_call = &job->next_call;
    (void)pthread_cond_signal(&fake->calls_waiting);
}

/* Called with the lock. */
static void step(struct fake *fake, struct fake_job *job)
{
    int64_t now_ms = clock_monotonic_ms();

    fake_table_unschedule(&fake->table, job);
    job->call = fake_job_step(job, now_ms);
    if (job->call != FAKE_CALL_NONE && job->url) {
        queue_call(fake, job);
        return;
    }
    if (job->call != FAKE_CALL_NONE)
        fake_job_answered(job, job->call, FAKE_ANSWER_OK, now_ms);
    settle(fake, job);
}

static void wait_until_ms(struct fake *fake, int64_t until_ms)
{
    struct timespec until = {
        .tv_sec = (time_t)(until_ms / 1000),
        .tv_nsec = (long)(until_ms % 1000) * 1000000,
    };

    (void)pthread_cond_timedwait(&fake->timers_changed, &fake->lock, &until);
}

static void *timer_thread(void *ctx)
{
    struct fake *fake = ctx;

    (void)pthread_mutex_lock(&fake->lock);
    while (!is_closing(fake)) {
        struct fake_job *job = fake_table_next(&fake->table);
        int64_t now_ms = clock_monotonic_ms();

        if (job && job->due_ms <= now_ms)
            step(fake, job);
        else
            wait_until_ms(fake, job ? job->due_ms : now_ms + IDLE_WAIT_MS);
    }
    (void)pthread_mutex_unlock(&fake->lock);
    return NULL;
}

/* Without the lock: what it reads of a busy job doesn't change, but heartbeat_s is only its
 * own to write. */
static enum fake_answer make_call(const struct fake *fake, struct fake_job *job)
{
    struct fake_home home = {
        .net = fake->net,
        .url = job->url,
        .token = job->token,
        .run = job->run,
        .attempt = job->attempt,
        .cancel = &fake->closing,
    };

    if (job->call == FAKE_CALL_CLAIM)
        return fake_home_claim(&home, &job->heartbeat_s);
    if (job->call == FAKE_CALL_HEARTBEAT)
        return fake_home_heartbeat(&home);
    /* The events are a courtesy: the report counts. */
    (void)fake_home_events(&home);
    return fake_home_complete(&home, job->report, job->script.pr_url);
}

static struct fake_job *take_call(struct fake *fake)
{
    struct fake_job *job = fake->first_call;

    if (job) {
        fake->first_call = job->next_call;
        if (!fake->first_call)
            fake->last_call = &fake->first_call;
    }
    return job;
}

static void *caller_thread(void *ctx)
{
    struct fake *fake = ctx;

    (void)pthread_mutex_lock(&fake->lock);
    while (!is_closing(fake)) {
        struct fake_job *job = take_call(fake);
        enum fake_answer answer;

        if (!job) {
            (void)pthread_cond_wait(&fake->calls_waiting, &fake->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&fake->lock);
        answer = make_call(fake, job);
        (void)pthread_mutex_lock(&fake->lock);
        job->busy = false;
        fake_job_answered(job, job->call, answer, clock_monotonic_ms());
        settle(fake, job);
    }
    (void)pthread_mutex_unlock(&fake->lock);
    return NULL;
}

/* --- Life cycle ----------------------------------------------------------------------- */

static void fake_close(void *self)
{
    struct fake *fake = self;

    (void)pthread_mutex_lock(&fake->lock);
    __atomic_store_n(&fake->closing, true, __ATOMIC_RELEASE);
    (void)pthread_cond_broadcast(&fake->timers_changed);
    (void)pthread_cond_broadcast(&fake->calls_waiting);
    (void)pthread_mutex_unlock(&fake->lock);
    if (fake->has_timer)
        (void)pthread_join(fake->timer, NULL);
    for (size_t i = 0; i < fake->n_callers; i++)
        (void)pthread_join(fake->callers[i], NULL);
    net_free(fake->net);
    fake_table_done(&fake->table);
    (void)pthread_cond_destroy(&fake->timers_changed);
    (void)pthread_cond_destroy(&fake->calls_waiting);
    (void)pthread_mutex_destroy(&fake->lock);
    free(fake);
}

static void init_locks(struct fake *fake)
{
    pthread_condattr_t monotonic;

    (void)pthread_mutex_init(&fake->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&fake->timers_changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_cond_init(&fake->calls_waiting, NULL);
}

static int start_threads(struct fake *fake, struct err *err)
{
    int failed = pthread_create(&fake->timer, NULL, timer_thread, fake);

    fake->has_timer = !failed;
    while (!failed && fake->n_callers < CALLERS) {
        failed = pthread_create(&fake->callers[fake->n_callers], NULL, caller_thread, fake);
        if (!failed)
            fake->n_callers++;
    }
    return failed ? err_set_errno(err, failed, "starting a thread") : 0;
}

static int fake_open(const struct config *config, launcher_changed_fn changed,
                     void *changed_ctx, void **out_self, struct err *err)
{
    struct net_options options = {
        .user_agent = USER_AGENT,
        .ca_file = config->ca_file,
        .connections_per_host = CALLERS,
    };
    struct fake *fake = xcalloc(1, sizeof(*fake));

    fake->changed = changed;
    fake->changed_ctx = changed_ctx;
    fake->last_call = &fake->first_call;
    init_locks(fake);
    fake->net = net_new(&options, err);
    if (!fake->net || start_threads(fake, err) < 0) {
        fake_close(fake);
        return -1;
    }
    *out_self = fake;
    return 0;
}

/* --- The backend's calls -------------------------------------------------------------- */

static void begin(struct fake *fake, struct fake_job *job, int64_t timeout_s)
{
    fake_job_begin(job, timeout_s, clock_monotonic_ms());
    fake_table_schedule(&fake->table, job);
    (void)pthread_cond_signal(&fake->timers_changed);
}

/* The answer to one more start. */
static int answer_start(struct fake *fake, struct fake_job *job, const struct job_spec *spec,
                        struct err *err)
{
    const struct fake_script *script = &job->script;
    enum fake_start start = script->start;
    int asked = ++job->times_asked - script->start_away;
    int unanswered = start == FAKE_START_OK ? script->start_timeouts : 1;

    if (asked <= 0)
        return err_set(err, ERR_UNAVAILABLE, "the backend is away as asked");
    if (job->state == FAKE_ASKED && !(asked == 1 && start == FAKE_START_TIMEOUT))
        begin(fake, job, spec->timeout_s);
    if (asked <= unanswered)
        return err_set(err, ERR_TIMEOUT, "the start goes unanswered as asked");
    return 0;
}

/* A job that wasn't asked for before; NULL when it fails to start. */
static struct fake_job *add_job(struct fake *fake, const struct job_spec *spec, struct err *err)
{
    struct fake_job *job = fake_job_new(spec);

    if (job->script.start == FAKE_START_ERROR || spec->attempt <= job->script.start_errors) {
        fake_job_free(job);
        err_set(err, ERR_UPSTREAM, "the start fails as asked");
        return NULL;
    }
    fake_table_add(&fake->table, job);
    return job;
}

/* What of the script is for this one; the caller frees it. */
static char *part_of_script(const struct fake *fake, const char *script)
{
    const char *second = script ? strstr(script, SECOND_PART) : NULL;

    if (!second)
        return xstrdup(script);
    return fake->is_second ? xstrdup(second + strlen(SECOND_PART))
                           : xasprintf("%.*s", (int)(second - script), script);
}

static int fake_start(void *self, const struct job_spec *wanted, char **out_ref,
                      struct err *err)
{
    struct fake *fake = self;
    scoped_str script = part_of_script(fake, wanted->script);
    struct job_spec own = *wanted;
    const struct job_spec *spec = &own;
    struct fake_job *job;
    int result;

    own.script = script;
    (void)pthread_mutex_lock(&fake->lock);
    job = fake_table_find(&fake->table, spec->run, spec->attempt);
    if (!job)
        job = add_job(fake, spec, err);
    result = job ? answer_start(fake, job, spec, err) : -1;
    (void)pthread_mutex_unlock(&fake->lock);
    if (result == 0)
        *out_ref = xstrdup(job_ref_make(spec->run, spec->attempt).text);
    return result;
}

/* Called with the lock. */
static struct fake_job *find(const struct fake *fake, const char *ref)
{
    struct id run;
    int attempt;

    return job_ref_parse(ref, &run, &attempt) ? fake_table_find(&fake->table, run, attempt)
                                              : NULL;
}

static int fake_poll(void *self, const char *ref, struct job_view *out, struct err *err)
{
    struct fake *fake = self;
    const struct fake_job *job;

    (void)err;
    *out = (struct job_view){.phase = JOB_LOST, .exit_code = -1};
    (void)pthread_mutex_lock(&fake->lock);
    job = find(fake, ref);
    if (job && job->state == FAKE_ENDED) {
        out->phase = JOB_ENDED;
        out->exit_code = job->exit_code;
        out->reason = job->reason;
        outcome_set_detail(out, job->detail ? job->detail : "");
    } else if (job && fake_job_is_waiting(job, clock_monotonic_ms())) {
        out->phase = JOB_STARTING;
        out->waiting = true;
        outcome_set_detail(out, "it waits as asked");
    } else if (job && (job->state == FAKE_BEGUN || job->state == FAKE_CLAIMED)) {
        out->phase = JOB_RUNNING;
    }
    (void)pthread_mutex_unlock(&fake->lock);
    return 0;
}

static int fake_stop(void *self, const char *ref, struct err *err)
{
    struct fake *fake = self;
    struct fake_job *job;

    (void)err;
    (void)pthread_mutex_lock(&fake->lock);
    job = find(fake, ref);
    if (job) {
        fake_job_stop(job, clock_monotonic_ms());
        if (!job->busy)
            fake_table_schedule(&fake->table, job);
        (void)pthread_cond_signal(&fake->timers_changed);
    }
    (void)pthread_mutex_unlock(&fake->lock);
    return 0;
}

static int fake_forget(void *self, const char *ref, struct err *err)
{
    struct fake *fake = self;
    struct fake_job *job;
    int result = 0;

    (void)pthread_mutex_lock(&fake->lock);
    job = find(fake, ref);
    if (job && (job->state == FAKE_BEGUN || job->state == FAKE_CLAIMED))
        result = err_set(err, ERR_CONFLICT, "it is still running");
    else if (job)
        fake_table_remove(&fake->table, job);
    (void)pthread_mutex_unlock(&fake->lock);
    return result;
}

static int fake_logs(void *self, const char *ref, size_t limit_bytes, struct buf *out,
                     struct err *err)
{
    struct fake *fake = self;
    const struct fake_job *job;
    scoped_buf text = {0};
    size_t skip;

    (void)pthread_mutex_lock(&fake->lock);
    job = find(fake, ref);
    for (int i = 0; job && i < job->times_begun; i++)
        buf_append_str(&text, "started\n");
    if (job && job->notes.size)
        buf_append(&text, job->notes.data, job->notes.size);
    if (job && fake_job_is_over(job))
        buf_append_str(&text, "ended\n");
    (void)pthread_mutex_unlock(&fake->lock);
    if (!job)
        return err_set(err, ERR_NOT_FOUND, "there is no such job");
    skip = text.size > limit_bytes ? text.size - limit_bytes : 0;
    if (text.size)
        buf_append(out, text.data + skip, text.size - skip);
    return 0;
}

/* They stand in its log. */
static void fake_note(void *self, const char *ref, const char *reason, const char *sentence)
{
    struct fake *fake = self;
    struct fake_job *job;

    (void)pthread_mutex_lock(&fake->lock);
    job = find(fake, ref);
    if (job && job->notes.size < NOTES_MAX_BYTES)
        buf_printf(&job->notes, "%s: %s\n", reason, sentence);
    (void)pthread_mutex_unlock(&fake->lock);
}

static int fake_list(void *self, launcher_job_fn each, void *ctx, struct err *err)
{
    struct fake *fake = self;

    (void)err;
    (void)pthread_mutex_lock(&fake->lock);
    for (size_t i = 0; i < fake->table.n_buckets; i++)
        for (const struct fake_job *job = fake->table.buckets[i]; job;
             job = job->next_in_bucket)
            if (job->times_begun && job->state != FAKE_LOST)
                each(ctx, job->run, job->attempt, job_ref_make(job->run, job->attempt).text);
    (void)pthread_mutex_unlock(&fake->lock);
    return 0;
}

static int fake_open_second(const struct config *config, launcher_changed_fn changed,
                            void *changed_ctx, void **out_self, struct err *err)
{
    if (fake_open(config, changed, changed_ctx, out_self, err) < 0)
        return -1;
    ((struct fake *)*out_self)->is_second = true;
    return 0;
}

const struct launcher_ops fake_launcher = {
    .name = "fake",
    .open = fake_open,
    .close = fake_close,
    .start = fake_start,
    .poll = fake_poll,
    .stop = fake_stop,
    .forget = fake_forget,
    .logs = fake_logs,
    .note = fake_note,
    .list = fake_list,
    .explain = fake_explain,
};

const struct launcher_ops fake_second_launcher = {
    .name = SECOND_NAME,
    .open = fake_open_second,
    .close = fake_close,
    .start = fake_start,
    .poll = fake_poll,
    .stop = fake_stop,
    .forget = fake_forget,
    .logs = fake_logs,
    .note = fake_note,
    .list = fake_list,
    .explain = fake_explain,
};
