/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/launcher.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "launch/job_child.h"
#include "launch/job_cleaner.h"
#include "launch/job_explain.h"
#include "launch/job_lock.h"
#include "launch/job_ref.h"
#include "launch/job_session.h"
#include "launch/job_watch.h"
#include "launch/outcome.h"
#include "launch/work_dir.h"

/*
 * The runner as a child on this machine. A job is a directory of its own in the work
 * directory:
 *
 *     run-<id>-<attempt>/
 *       job.lock       who runs it, once (job_lock.h)
 *       runner.log     what the runner wrote
 *       outcome.json   how it says it ended
 *       work/  tmp/    the workspace; removed when the end is noticed
 *
 * The directory and the lock are all there is to know, so a dispatchd that starts anew, or
 * two that start the same job at once, agree without having spoken: start makes the
 * directory, sends a child, and believes the lock about who runs. A runner leads a session
 * of its own and lives on when dispatchd ends. Whoever asks about it first (start, poll,
 * stop) puts it under watch again.
 *
 * forget renames the directory before it removes it, so that a job is there or gone.
 */
#define OUTCOME "outcome.json"
#define FORGOTTEN_PREFIX "forgotten-"

#define LOG_TAIL_MAX (1U << 20)

/* A child that dies between taking the lock and writing its line leaves a job that never
 * ran: start sends another. */
#define START_TRIES_MAX 3
#define LEAVE_WITHIN_MS 5000

struct local {
    char *runner;
    char *ca_file; /* absolute, or NULL */
    struct work_dir work;
    struct job_watch *watch;
    struct job_cleaner *cleaner;
    launcher_changed_fn changed;
    void *changed_ctx;
};

static bool ref_is_ours(const char *ref, struct job_ref *out)
{
    struct id run;
    int attempt;

    if (!job_ref_parse(ref, &run, &attempt))
        return false;
    *out = job_ref_make(run, attempt);
    return true;
}

static int refuse_ref(const char *ref, struct err *err)
{
    return err_set(err, ERR_INVALID, "\"%.60s\" is not the name of a job", ref);
}

/* --- Its end -------------------------------------------------------------------------- */

static void clean_job(const struct local *local, const char *ref)
{
    job_cleaner_add(local->cleaner, ref, JOB_CHILD_WORK);
    job_cleaner_add(local->cleaner, ref, JOB_CHILD_TMP);
}

static void on_ended(void *ctx, const struct job_ref *ref, const struct job_watch_end *end)
{
    const struct local *local = ctx;
    scoped_fd dir = work_dir_open_job(&local->work, ref->text);
    scoped_str job_dir = xasprintf("%s/%s", local->work.path, ref->text);

    if (dir < 0)
        return;
    if (end->exit_code >= 0 || end->signal)
        job_lock_note_end(dir, end->exit_code, end->signal);
    job_session_kill_strays(job_dir, end->started_ms);
    clean_job(local, ref->text);
}

static void on_gone(void *ctx, const struct job_ref *ref)
{
    const struct local *local = ctx;
    struct id run;
    int attempt;

    if (local->changed && job_ref_parse(ref->text, &run, &attempt))
        local->changed(local->changed_ctx, run, attempt);
}

/* --- Opening -------------------------------------------------------------------------- */

static int check_runner(const char *path, struct err *err)
{
    struct stat st;

    if (!path || path[0] != '/')
        return err_set_field(err, "runner", "must be the absolute path of dispatch-runner");
    if (stat(path, &st) < 0)
        return err_set_field(err, "runner", "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || access(path, X_OK) < 0)
        return err_set_field(err, "runner", "%s is not an executable file", path);
    return 0;
}

static int find_ca_file(struct local *local, const char *path, struct err *err)
{
    if (!path)
        return 0;
    local->ca_file = realpath(path, NULL);
    return local->ca_file ? 0 : err_set_field(err, "ca_file", "%s: %s", path, strerror(errno));
}

/* What a forget that was cut off has left. */
static void clean_forgotten(const struct local *local)
{
    int fd = openat(local->work.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        if (strncmp(entry->d_name, FORGOTTEN_PREFIX, sizeof(FORGOTTEN_PREFIX) - 1) == 0)
            job_cleaner_add(local->cleaner, NULL, entry->d_name);
    if (dir)
        (void)closedir(dir);
    else if (fd >= 0)
        (void)close(fd);
}

static void local_close(void *self)
{
    struct local *local = self;

    job_watch_free(local->watch);
    job_cleaner_free(local->cleaner);
    work_dir_close(&local->work);
    free(local->runner);
    free(local->ca_file);
    free(local);
}

static int open_parts(struct local *local, const struct config *config, struct err *err)
{
    struct job_watch_hooks hooks = {.ended = on_ended, .gone = on_gone, .ctx = local};

    if (check_runner(config->runner, err) < 0
        || work_dir_open(&local->work, config->work_dir, err) < 0
        || find_ca_file(local, config->ca_file, err) < 0)
        return -1;
    local->runner = xstrdup(config->runner);
    local->cleaner = job_cleaner_new(local->work.fd, err);
    if (!local->cleaner)
        return -1;
    local->watch = job_watch_new(&hooks, err);
    if (!local->watch)
        return -1;
    clean_forgotten(local);
    return 0;
}

static int local_open(const struct config *config, launcher_changed_fn changed,
                      void *changed_ctx, void **out_self, struct err *err)
{
    struct local *local = xcalloc(1, sizeof(*local));

    *local = (struct local){.work.fd = -1, .changed = changed, .changed_ctx = changed_ctx};
    if (open_parts(local, config, err) < 0) {
        local_close(local);
        return -1;
    }
    *out_self = local;
    return 0;
}

/* --- Starting ------------------------------------------------------------------------- */

static int64_t end_at_ms(const struct job_lock *lock)
{
    return lock->timeout_s ? lock->since_ms + lock->timeout_s * 1000 : 0;
}

/* Puts a runner that is alive under watch; false when it isn't. */
static bool watch_runner(const struct local *local, const struct job_ref *ref,
                         const struct job_lock *lock)
{
    int pidfd = job_lock_open_runner(lock);

    if (pidfd < 0)
        return false;
    job_watch_add(local->watch, ref, lock->pid, pidfd, end_at_ms(lock));
    return true;
}

static int make_job_dir(const struct local *local, const char *ref, struct err *err)
{
    int dir;

    if (mkdirat(local->work.fd, ref, JOB_DIR_MODE) < 0 && errno != EEXIST)
        return err_set_errno(err, errno, "making %s", ref);
    dir = work_dir_open_job(&local->work, ref);
    if (dir < 0)
        return err_set_errno(err, errno, "opening %s", ref);
    return dir;
}

/* Our child is the runner: the watch waits for it, even if it has ended already. Unless
 * another caller has put it there and the watch is done with it. */
static void watch_child(const struct local *local, const struct job_ref *ref,
                        const struct job_lock *lock)
{
    siginfo_t info;
    int pidfd;

    if (waitid(P_PID, (id_t)lock->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
        return;
    pidfd = (int)syscall(SYS_pidfd_open, lock->pid, 0);
    if (pidfd >= 0)
        job_watch_add(local->watch, ref, lock->pid, pidfd, end_at_ms(lock));
}

/* A child that was not let in ends at once, with this code. */
static int await_leaver(pid_t pid)
{
    int64_t until_ms = clock_monotonic_ms() + LEAVE_WITHIN_MS;
    int status = 0;

    while (waitpid(pid, &status, WNOHANG) == 0 && clock_monotonic_ms() < until_ms)
        (void)usleep(500);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

/*
 * One try. When process_start returns, our child is the runner or has left, so the lock
 * tells who runs. A child that left is waited for here.
 */
static int try_start(const struct local *local, const struct job_spec *spec,
                     const struct job_ref *ref, int dir, struct job_lock *out, struct err *err)
{
    scoped_str job_dir = xasprintf("%s/%s", local->work.path, ref->text);
    pid_t pid;

    if (job_child_send(local->runner, local->ca_file, spec, job_dir, dir, &pid, err) < 0
        || job_lock_settle(dir, out, err) < 0)
        return -1;
    if (out->pid == pid)
        watch_child(local, ref, out);
    else if (await_leaver(pid) == JOB_LOCK_NO_DISK)
        return err_set(err, ERR_UNAVAILABLE, "%s can't be written, its disk is full or broken",
                       job_dir);
    return 0;
}

static int local_start(void *self, const struct job_spec *spec, char **out_ref, struct err *err)
{
    const struct local *local = self;
    struct job_ref ref = job_ref_make(spec->run, spec->attempt);
    scoped_fd dir = -1;
    struct job_lock lock;

    if (!spec->url || !spec->task_token || spec->attempt > JOB_ATTEMPT_MAX)
        return err_set(err, ERR_INVALID, "a job needs a URL, a task token and an attempt");
    dir = make_job_dir(local, ref.text, err);
    if (dir < 0 || job_lock_settle(dir, &lock, err) < 0)
        return -1;
    for (int tries = 0; lock.phase == JOB_LOCK_NEVER; tries++) {
        if (tries == START_TRIES_MAX)
            return err_set(err, ERR_INTERNAL, "its lock could not be taken");
        if (try_start(local, spec, &ref, dir, &lock, err) < 0)
            return -1;
    }
    if (lock.phase == JOB_LOCK_HELD)
        (void)watch_runner(local, &ref, &lock);
    *out_ref = xstrdup(ref.text);
    return 0;
}

/* --- Looking -------------------------------------------------------------------------- */

static void view_end(int dir, const struct job_lock *lock, struct job_view *out)
{
    scoped_buf outcome = {0};
    struct err err;
    char sentence[64];

    *out = (struct job_view){.phase = JOB_ENDED, .exit_code = lock->exit_code};
    if (work_dir_read_tail(dir, OUTCOME, OUTCOME_MAX_BYTES + 1, &outcome, &err) == 0
        && outcome.data && outcome_read(outcome.data, outcome.size, out))
        return;
    if (lock->signal) {
        (void)snprintf(sentence, sizeof(sentence), "the runner was ended by signal %d",
                       lock->signal);
        outcome_set_detail(out, sentence);
    }
}

/* An end that nobody watched: dispatchd was away. */
static void notice_end(const struct local *local, const struct job_ref *ref, int dir,
                       const struct job_lock *lock)
{
    scoped_str job_dir = xasprintf("%s/%s", local->work.path, ref->text);

    if (faccessat(dir, JOB_CHILD_WORK, F_OK, AT_SYMLINK_NOFOLLOW) < 0
        && faccessat(dir, JOB_CHILD_TMP, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    if (lock->pid)
        job_session_kill(lock->pid, job_dir);
    job_session_kill_strays(job_dir, 0);
    clean_job(local, ref->text);
}

static int local_poll(void *self, const char *name, struct job_view *out, struct err *err)
{
    const struct local *local = self;
    scoped_fd dir = -1;
    struct job_ref ref;
    struct job_lock lock;

    *out = (struct job_view){.phase = JOB_LOST, .exit_code = -1};
    if (!ref_is_ours(name, &ref))
        return 0;
    dir = work_dir_open_job(&local->work, ref.text);
    if (dir < 0)
        return errno == ENOENT ? 0 : err_set_errno(err, errno, "opening %s", ref.text);
    out->phase = JOB_RUNNING;
    if (job_watch_has(local->watch, &ref))
        return 0;
    if (job_lock_look(dir, &lock, err) < 0)
        return -1;
    if (lock.phase == JOB_LOCK_HELD && !lock.pid)
        out->phase = lock.written ? JOB_RUNNING : JOB_STARTING;
    else if (lock.phase == JOB_LOCK_NEVER)
        out->phase = JOB_LOST;
    else if (lock.phase == JOB_LOCK_PAST || !watch_runner(local, &ref, &lock)) {
        /* A lock that outlived the runner is held by something the runner left behind. */
        notice_end(local, &ref, dir, &lock);
        view_end(dir, &lock, out);
    }
    return 0;
}

static int local_logs(void *self, const char *name, size_t limit_bytes, struct buf *out,
                      struct err *err)
{
    const struct local *local = self;
    scoped_fd dir = -1;
    struct job_ref ref;

    if (!ref_is_ours(name, &ref))
        return refuse_ref(name, err);
    dir = work_dir_open_job(&local->work, ref.text);
    if (dir < 0)
        return err_set_errno(err, errno, "opening %s", ref.text);
    return work_dir_read_tail(
        dir, JOB_CHILD_LOG, limit_bytes < LOG_TAIL_MAX ? limit_bytes : LOG_TAIL_MAX, out, err);
}

/* --- Ending --------------------------------------------------------------------------- */

static int local_stop(void *self, const char *name, struct err *err)
{
    const struct local *local = self;
    scoped_fd dir = -1;
    struct job_ref ref;
    struct job_lock lock;
    bool sealed;

    if (!ref_is_ours(name, &ref))
        return refuse_ref(name, err);
    dir = work_dir_open_job(&local->work, ref.text);
    if (dir < 0)
        return errno == ENOENT ? 0 : err_set_errno(err, errno, "opening %s", ref.text);
    /* A job that is about to begin either finds the seal or is found running. */
    if (job_watch_stop(local->watch, &ref))
        return 0;
    if (job_lock_seal(dir, &sealed, err) < 0)
        return -1;
    if (sealed)
        return 0;
    if (job_lock_settle(dir, &lock, err) < 0)
        return -1;
    if (lock.phase == JOB_LOCK_HELD && !lock.written)
        return err_set(err, ERR_UNAVAILABLE, "it is just about to start, ask again");
    if (lock.phase == JOB_LOCK_HELD && !lock.pid)
        return err_set(err, ERR_INTERNAL, "job.lock doesn't say which process it is");
    if (lock.phase == JOB_LOCK_HELD && watch_runner(local, &ref, &lock))
        (void)job_watch_stop(local->watch, &ref);
    return 0;
}

static int local_forget(void *self, const char *name, struct err *err)
{
    const struct local *local = self;
    scoped_str forgotten = NULL;
    struct job_view view;
    struct job_ref ref;
    scoped_fd dir = -1;
    bool sealed;

    if (!ref_is_ours(name, &ref))
        return refuse_ref(name, err);
    dir = work_dir_open_job(&local->work, ref.text);
    if (dir < 0)
        return errno == ENOENT ? 0 : err_set_errno(err, errno, "opening %s", ref.text);
    if (job_lock_seal(dir, &sealed, err) < 0 || local_poll(self, ref.text, &view, err) < 0)
        return -1;
    if (view.phase == JOB_RUNNING || view.phase == JOB_STARTING)
        return err_set(err, ERR_CONFLICT, "it is still running");
    forgotten =
        xasprintf(FORGOTTEN_PREFIX "%s-%llx", ref.text, (unsigned long long)job_lock_now_ms());
    if (renameat(local->work.fd, ref.text, local->work.fd, forgotten) < 0)
        return errno == ENOENT ? 0 : err_set_errno(err, errno, "removing %s", ref.text);
    job_cleaner_add(local->cleaner, NULL, forgotten);
    return 0;
}

/* --- All of them ---------------------------------------------------------------------- */

static int local_list(void *self, launcher_job_fn each, void *ctx, struct err *err)
{
    const struct local *local = self;
    scoped_fd fd = openat(local->work.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    struct id run;
    int attempt;

    if (!dir)
        return err_set_errno(err, errno, "%s", local->work.path);
    (void)TAKE_FD(fd); /* the stream's by now */
    while ((entry = readdir(dir)))
        if (job_ref_parse(entry->d_name, &run, &attempt))
            each(ctx, run, attempt, entry->d_name);
    (void)closedir(dir);
    return 0;
}

/* --- Telling -------------------------------------------------------------------------- */

static int local_explain(void *self, const struct job_spec *spec, cJSON **out, struct err *err)
{
    const struct local *local = self;
    struct job_ref ref = job_ref_make(spec->run, spec->attempt);
    scoped_str job_dir = xasprintf("%s/%s", local->work.path, ref.text);

    (void)err;
    *out = job_explain(local->runner, local->ca_file, spec, job_dir);
    return 0;
}

const struct launcher_ops process_launcher = {
    .name = "process",
    .open = local_open,
    .close = local_close,
    .start = local_start,
    .poll = local_poll,
    .stop = local_stop,
    .forget = local_forget,
    .logs = local_logs,
    .list = local_list,
    .explain = local_explain,
};
