/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/job_child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "launch/job_env.h"
#include "launch/job_lock.h"
#include "launch/work_dir.h"
#include "process/process.h"

/* A pipe that holds the token: it can be read once, and only by who has the descriptor. */
static int open_token_pipe(const struct secret *token, int *out_fd, struct err *err)
{
    const char *text = secret_reveal(token);
    size_t size = strlen(text);
    scoped_fd reader = -1;
    scoped_fd writer = -1;
    int ends[2];

    if (!size || size > PIPE_BUF)
        return err_set(err, ERR_INVALID, "a job needs a task token");
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set_errno(err, errno, "a pipe for the task token");
    reader = ends[0];
    writer = ends[1];
    if (write(writer, text, size) != (ssize_t)size)
        return err_set_errno(err, errno, "a pipe for the task token");
    *out_fd = TAKE_FD(reader);
    return 0;
}

static int open_log(int dir, struct err *err)
{
    int fd = openat(dir, JOB_CHILD_LOG,
                    O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

    return fd >= 0 ? fd : err_set_errno(err, errno, JOB_CHILD_LOG);
}

static int make_insides(int dir, struct err *err)
{
    static const char *const insides[] = {JOB_CHILD_WORK, JOB_CHILD_TMP};

    for (size_t i = 0; i < ARRAY_SIZE(insides); i++)
        if (mkdirat(dir, insides[i], JOB_DIR_MODE) < 0 && errno != EEXIST)
            return err_set_errno(err, errno, "making %s", insides[i]);
    return 0;
}

int job_child_send(const char *runner, const char *ca_file, const struct job_spec *spec,
                   const char *job_dir, int dir, pid_t *out_pid, struct err *err)
{
    const char *const argv[] = {runner, NULL};
    __attribute__((cleanup(job_lock_claim_done))) struct job_lock_claim claim = {0};
    scoped_job_env env = {0};
    scoped_fd token_fd = -1;
    scoped_fd log_fd = open_log(dir, err);
    struct process_spec child = PROCESS_SPEC_DEFAULTS;

    if (log_fd < 0 || make_insides(dir, err) < 0
        || open_token_pipe(spec->task_token, &token_fd, err) < 0)
        return -1;
    job_env_make(&env, spec, job_dir, ca_file, token_fd);
    job_lock_claim_init(&claim, job_dir, spec->timeout_s);
    child.argv = argv;
    child.env = (const char *const *)env.values;
    child.cwd = job_dir;
    child.keep_fds = &(const int){token_fd};
    child.n_keep_fds = 1;
    child.new_session = true;
    child.stdout_fd = log_fd;
    child.stderr_fd = log_fd;
    child.before_exec = job_lock_claim_in_child;
    child.before_exec_ctx = &claim;
    return process_start(&child, out_pid, err);
}
