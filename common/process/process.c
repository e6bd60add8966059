/* SPDX-License-Identifier: Apache-2.0 */
#include "process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/alloc.h"

/*
 * Between fork and exec the child of a threaded program may only make async-signal-safe
 * calls: another thread may have held malloc's lock at the fork. So everything that needs
 * memory is made before, in a struct plan, and the child says what went wrong in eight bytes
 * through a pipe that a successful exec closes.
 */
#define PATH_WITHOUT_ONE "/usr/local/bin:/usr/bin:/bin"
#define EXIT_NOT_STARTED 127

enum step { STEP_GROUP, STEP_STDIO, STEP_DESCRIPTORS, STEP_DIRECTORY, STEP_SIGNALS, STEP_EXEC };

struct trouble {
    int step;
    int number; /* errno */
};

struct plan {
    const struct process_spec *spec;
    char **argv;
    char **env;
    char **paths; /* the files to try, in order */
    int report_fd;
};

/* --- In the parent, before ------------------------------------------------------------ */

/* The pointers of a list as execve wants them typed; the texts stay the caller's. */
static char **borrow_texts(const char *const *texts)
{
    size_t count = 0;
    char **list;

    while (texts && texts[count])
        count++;
    list = xcalloc(count + 1, sizeof(*list));
    if (count)
        memcpy(list, texts, count * sizeof(*list));
    return list;
}

static const char *search_path(const char *const *env)
{
    for (; env && *env; env++)
        if (strncmp(*env, "PATH=", 5) == 0)
            return *env + 5;
    return PATH_WITHOUT_ONE;
}

/* Only absolute folders count: the child's directory may be a stranger's checkout. */
static char **find_paths(const char *name, const char *const *env)
{
    const char *at = search_path(env);
    char **paths = xcalloc(strlen(at) + 2, sizeof(*paths));
    size_t count = 0;

    if (strchr(name, '/')) {
        paths[0] = xstrdup(name);
        return paths;
    }
    while (*at) {
        size_t length = strcspn(at, ":");

        if (*at == '/')
            paths[count++] = xasprintf("%.*s/%s", (int)length, at, name);
        at += length + (at[length] == ':');
    }
    return paths;
}

static void plan_done(struct plan *plan)
{
    for (char **path = plan->paths; path && *path; path++)
        free(*path);
    free(plan->paths);
    free(plan->argv);
    free(plan->env);
}

static int check_spec(const struct process_spec *spec, struct err *err)
{
    if (!spec->argv || !spec->argv[0] || !spec->argv[0][0])
        return err_set(err, ERR_INVALID, "there is no program to start");
    for (size_t i = 0; i < spec->n_keep_fds; i++) {
        if (spec->keep_fds[i] <= STDERR_FILENO)
            return err_set(err, ERR_INVALID, "descriptor %d has a field of its own",
                           spec->keep_fds[i]);
        /* A closed one would be given to something else on the way. */
        if (fcntl(spec->keep_fds[i], F_GETFD) < 0)
            return err_set_errno(err, errno, "descriptor %d", spec->keep_fds[i]);
    }
    return 0;
}

/* A pipe whose ends aren't 0, 1 or 2, which the child overwrites. */
static int open_report(int fds[2], struct err *err)
{
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_set_errno(err, errno, "a pipe");
    for (int i = 0; i < 2; i++) {
        int high = fds[i] > STDERR_FILENO ? fds[i] : fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

        if (high < 0)
            return err_set_errno(err, errno, "a pipe");
        if (high != fds[i])
            (void)close(fds[i]);
        fds[i] = high;
    }
    return 0;
}

/* --- In the child --------------------------------------------------------------------- */

static int lead_group(const struct process_spec *spec)
{
    if (spec->new_session)
        return setsid() < 0 ? -1 : 0;
    return setpgid(0, 0);
}

/* The three are first held above 2, so that any of them may be any of the others' numbers. */
static int put_stdio(const struct process_spec *spec)
{
    const int wanted[] = {spec->stdin_fd, spec->stdout_fd, spec->stderr_fd};
    int held[ARRAY_SIZE(wanted)];

    for (int i = 0; i < 3; i++) {
        int from = wanted[i];

        if (from < 0)
            from = open("/dev/null", (i == 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
        held[i] = fcntl(from, F_DUPFD_CLOEXEC, 3);
        if (held[i] < 0)
            return -1;
    }
    for (int i = 0; i < 3; i++)
        if (dup2(held[i], i) < 0)
            return -1;
    return 0;
}

/* The rest closes at exec and not here: before_exec may still use what is open. */
static int limit_descriptors(const struct process_spec *spec)
{
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        return -1;
    for (size_t i = 0; i < spec->n_keep_fds; i++)
        if (fcntl(spec->keep_fds[i], F_SETFD, 0) < 0)
            return -1;
    return 0;
}

static int reset_signals(void)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        (void)sigaction(number, &plain, NULL); /* KILL, STOP and libc's own can't be set */
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Returns only when none of the files could be executed. */
static void exec_first(const struct plan *plan)
{
    int denied = 0;

    errno = ENOENT;
    for (char **path = plan->paths; *path; path++) {
        (void)execve(*path, plan->argv, plan->env);
        if (errno == EACCES)
            denied = EACCES;
        else if (errno != ENOENT && errno != ENOTDIR)
            return;
    }
    if (denied)
        errno = denied;
}

static _Noreturn void give_up(const struct plan *plan, enum step step)
{
    struct trouble trouble = {.step = (int)step, .number = errno};

    if (write(plan->report_fd, &trouble, sizeof(trouble)) < 0)
        _exit(EXIT_NOT_STARTED);
    _exit(EXIT_NOT_STARTED);
}

static _Noreturn void become_program(const struct plan *plan)
{
    const struct process_spec *spec = plan->spec;

    if (lead_group(spec) < 0)
        give_up(plan, STEP_GROUP);
    if (put_stdio(spec) < 0)
        give_up(plan, STEP_STDIO);
    if (limit_descriptors(spec) < 0)
        give_up(plan, STEP_DESCRIPTORS);
    if (spec->cwd && chdir(spec->cwd) < 0)
        give_up(plan, STEP_DIRECTORY);
    if (reset_signals() < 0)
        give_up(plan, STEP_SIGNALS);
    if (spec->before_exec) {
        int code = spec->before_exec(spec->before_exec_ctx);

        if (code != 0)
            _exit(code);
    }
    exec_first(plan);
    give_up(plan, STEP_EXEC);
}

/* --- In the parent, after ------------------------------------------------------------- */

/* Every signal is blocked around the fork: none of our handlers may run in the child. */
static pid_t fork_into(const struct plan *plan)
{
    sigset_t all;
    sigset_t before;
    pid_t pid;
    int number;

    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0)
        become_program(plan);
    number = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = number;
    return pid;
}

static int say_trouble(const struct process_spec *spec, const struct trouble *trouble,
                       struct err *err)
{
    static const char *const doing[] = {
        [STEP_GROUP] = "its process group",     [STEP_STDIO] = "its standard streams",
        [STEP_DESCRIPTORS] = "its descriptors", [STEP_DIRECTORY] = "its directory",
        [STEP_SIGNALS] = "its signals",
    };

    if (trouble->step == STEP_EXEC)
        return err_set_errno(err, trouble->number, "starting %s", spec->argv[0]);
    if (trouble->step == STEP_DIRECTORY)
        return err_set_errno(err, trouble->number, "starting %s in %s", spec->argv[0],
                             spec->cwd);
    return err_set_errno(err, trouble->number, "starting %s: %s", spec->argv[0],
                         doing[trouble->step]);
}

/* 0 once the program runs (or before_exec has ended the child). */
static int await_exec(const struct process_spec *spec, int report_fd, pid_t pid,
                      struct err *err)
{
    struct trouble trouble = {0};
    ssize_t got;

    do {
        got = read(report_fd, &trouble, sizeof(trouble));
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(trouble))
        return 0;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return say_trouble(spec, &trouble, err);
}

int process_start(const struct process_spec *spec, pid_t *out_pid, struct err *err)
{
    __attribute__((cleanup(plan_done))) struct plan plan = {.spec = spec};
    int report[2] = {-1, -1};
    scoped_fd report_read = -1;
    scoped_fd report_write = -1;
    int opened;
    pid_t pid;

    if (check_spec(spec, err) < 0)
        return -1;
    opened = open_report(report, err);
    report_read = report[0];
    report_write = report[1];
    if (opened < 0)
        return -1;
    plan.argv = borrow_texts(spec->argv);
    plan.env = borrow_texts(spec->env);
    plan.paths = find_paths(spec->argv[0], spec->env);
    plan.report_fd = report_write;

    pid = fork_into(&plan);
    if (pid < 0 && errno == EAGAIN)
        return err_set(err, ERR_UNAVAILABLE, "starting %s: too many processes", spec->argv[0]);
    if (pid < 0)
        return err_set_errno(err, errno, "starting %s", spec->argv[0]);
    (void)close(TAKE_FD(report_write));
    if (await_exec(spec, report_read, pid, err) < 0)
        return -1;
    *out_pid = pid;
    return 0;
}

int process_become_subreaper(struct err *err)
{
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        return err_set_errno(err, errno, "becoming the reaper of orphans");
    return 0;
}
