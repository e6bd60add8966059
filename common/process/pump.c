/* SPDX-License-Identifier: Apache-2.0 */
#include "process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "process/table.h"

/*
 * One child from its start to its end.
 *
 *     RUNNING --(time is up, *stop)--> ASKED --(grace is over)--> KILLED
 *
 * The child stays unreaped until the loop is over: as long as it is a zombie its pid, and
 * with it the group's number, can't become anyone else's, so every kill goes where it should.
 * After its own end RUNNING is over at once; in ASKED the rest of the group keeps its grace.
 * Then what is in the pipes is read, for a moment longer when someone still holds them.
 */
#define TERM_GRACE_MS 2000
#define STOP_LOOK_MS 100 /* how soon *stop is noticed */
#define END_LOOK_MS 20   /* how often we look where nothing wakes us */
#define DRAIN_MS 250     /* how long pipes may stay open after the end */
#define CHUNK_BYTES 65536

enum phase { RUNNING, ASKED, KILLED };
enum { WATCH_END, WATCH_INPUT, WATCH_STDOUT, WATCH_STDERR, N_WATCHED };

struct pump {
    const struct process_run *run;
    struct process_end end;
    enum phase phase;
    pid_t pid;
    int fds[N_WATCHED]; /* -1: closed or never there. WATCH_END is a pidfd */
    size_t input_done;
    uint64_t delivered;
    int64_t started_ms;
    int64_t kill_at_ms;
    bool exited;
    int64_t settled_ms; /* when nobody we wait for was left; 0: not yet */
};

static void close_one(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static void pump_done(struct pump *pump)
{
    for (int i = 0; i < N_WATCHED; i++)
        close_one(&pump->fds[i]);
}

/* --- Bytes ---------------------------------------------------------------------------- */

/* write(2) to a pipe whose reader may be gone, leaving the thread's signals as they were. */
static ssize_t write_quietly(int fd, const void *data, size_t size)
{
    static const struct timespec now = {0};
    sigset_t pipe_signal;
    sigset_t before;
    sigset_t pending;
    ssize_t put;
    int number;

    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    (void)sigpending(&pending);
    (void)pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    put = write(fd, data, size);
    number = errno;
    if (put < 0 && number == EPIPE && !sigismember(&pending, SIGPIPE))
        (void)sigtimedwait(&pipe_signal, NULL, &now);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = number;
    return put;
}

static void feed(struct pump *pump)
{
    const struct process_run *run = pump->run;
    size_t left = run->input_size - pump->input_done;
    ssize_t put =
        write_quietly(pump->fds[WATCH_INPUT], (const char *)run->input + pump->input_done,
                      left < CHUNK_BYTES ? left : CHUNK_BYTES);

    if (put > 0)
        pump->input_done += (size_t)put;
    if (pump->input_done == run->input_size || (put < 0 && errno != EAGAIN && errno != EINTR))
        close_one(&pump->fds[WATCH_INPUT]); /* all written, or nobody reads any more */
}

static void deliver(struct pump *pump, int which, const char *data, size_t size)
{
    const struct process_run *run = pump->run;
    uint64_t room = size;

    pump->end.output_bytes += size;
    if (run->output_max_bytes)
        room = run->output_max_bytes - pump->delivered;
    if (room < size)
        size = (size_t)room;
    pump->delivered += size;
    if (size && run->on_output)
        run->on_output(run->ctx, which == WATCH_STDOUT ? PROCESS_STDOUT : PROCESS_STDERR, data,
                       size);
}

/* At most `limit` bytes; how many it got. */
static size_t drain(struct pump *pump, int which, size_t limit)
{
    char chunk[CHUNK_BYTES];
    ssize_t got;

    if (pump->fds[which] < 0)
        return 0;
    got = read(pump->fds[which], chunk, limit < sizeof(chunk) ? limit : sizeof(chunk));
    if (got > 0) {
        deliver(pump, which, chunk, (size_t)got);
        return (size_t)got;
    }
    if (got == 0 || (errno != EAGAIN && errno != EINTR))
        close_one(&pump->fds[which]);
    return 0;
}

/* What the child wrote is all in the pipe by now; what comes in meanwhile isn't its. */
static void drain_rest(struct pump *pump, int which)
{
    int waiting = 0;

    if (pump->fds[which] < 0 || ioctl(pump->fds[which], FIONREAD, &waiting) < 0)
        return;
    for (size_t left = (size_t)waiting; left > 0;) {
        size_t got = drain(pump, which, left);

        if (!got)
            return;
        left -= got;
    }
}

/* --- The child's life ----------------------------------------------------------------- */

static void signal_group(const struct pump *pump, int number)
{
    (void)kill(-pump->pid, number);
}

static void ask_to_end(struct pump *pump, int64_t now_ms)
{
    int grace_ms = pump->run->term_grace_ms;

    signal_group(pump, SIGTERM);
    signal_group(pump, SIGCONT); /* a stopped one would not hear it */
    pump->phase = ASKED;
    pump->kill_at_ms = now_ms + (grace_ms > 0 ? grace_ms : TERM_GRACE_MS);
}

static bool asked_to_stop(const struct process_run *run)
{
    return run->stop && __atomic_load_n(run->stop, __ATOMIC_ACQUIRE);
}

static void enforce_limits(struct pump *pump, int64_t now_ms)
{
    const struct process_run *run = pump->run;

    if (pump->phase == RUNNING && !pump->exited) {
        pump->end.stopped = asked_to_stop(run);
        pump->end.timed_out = !pump->end.stopped && run->wall_clock_ms > 0
                              && now_ms >= pump->started_ms + run->wall_clock_ms;
        if (pump->end.stopped || pump->end.timed_out)
            ask_to_end(pump, now_ms);
    }
    if (pump->phase == ASKED && now_ms >= pump->kill_at_ms) {
        signal_group(pump, SIGKILL);
        pump->phase = KILLED;
    }
}

static void look_for_end(struct pump *pump, int64_t now_ms)
{
    siginfo_t info = {0};

    if (!pump->exited)
        pump->exited = waitid(P_PID, (id_t)pump->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0
                       || info.si_pid == pump->pid;
    if (pump->exited && !pump->settled_ms
        && (pump->phase != ASKED || !process_group_alive(pump->pid)))
        pump->settled_ms = now_ms;
}

static bool is_over(const struct pump *pump, int64_t now_ms)
{
    return pump->settled_ms
           && ((pump->fds[WATCH_STDOUT] < 0 && pump->fds[WATCH_STDERR] < 0)
               || now_ms >= pump->settled_ms + DRAIN_MS);
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* How long nothing but a descriptor can change anything; -1 for ever. */
static int wait_ms(const struct pump *pump, int64_t now_ms)
{
    const struct process_run *run = pump->run;
    int64_t until_ms = INT64_MAX;

    if (pump->phase == RUNNING && run->stop)
        until_ms = now_ms + STOP_LOOK_MS;
    if (pump->phase == RUNNING && run->wall_clock_ms > 0)
        until_ms = sooner(until_ms, pump->started_ms + run->wall_clock_ms);
    if (pump->phase == ASKED)
        until_ms = sooner(until_ms, pump->kill_at_ms);
    if (pump->exited || pump->fds[WATCH_END] < 0)
        until_ms = sooner(until_ms, now_ms + END_LOOK_MS);
    if (until_ms == INT64_MAX)
        return -1;
    return until_ms > now_ms ? (int)sooner(until_ms - now_ms, INT32_MAX) : 0;
}

static void wait_and_pump(struct pump *pump, int64_t now_ms)
{
    struct pollfd watched[N_WATCHED];

    for (int i = 0; i < N_WATCHED; i++)
        watched[i] = (struct pollfd){
            .fd = i == WATCH_END && pump->exited ? -1 : pump->fds[i],
            .events = i == WATCH_INPUT ? POLLOUT : POLLIN,
        };
    if (poll(watched, N_WATCHED, wait_ms(pump, now_ms)) <= 0)
        return;
    if (watched[WATCH_INPUT].revents)
        feed(pump);
    for (int i = WATCH_STDOUT; i <= WATCH_STDERR; i++)
        if (watched[i].revents)
            (void)drain(pump, i, CHUNK_BYTES);
}

static void pump_until_over(struct pump *pump)
{
    for (;;) {
        int64_t now_ms = clock_monotonic_ms();

        enforce_limits(pump, now_ms);
        look_for_end(pump, now_ms);
        if (is_over(pump, now_ms))
            break;
        wait_and_pump(pump, now_ms);
    }
    drain_rest(pump, WATCH_STDOUT);
    drain_rest(pump, WATCH_STDERR);
}

/* --- Start and end -------------------------------------------------------------------- */

/* Gives the child one end of a new pipe and keeps the other, which never blocks. */
static int open_pipe(int *child_end, int *our_end, bool child_reads, struct err *err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set_errno(err, errno, "a pipe");
    *child_end = ends[child_reads ? 0 : 1];
    *our_end = ends[child_reads ? 1 : 0];
    if (fcntl(*our_end, F_SETFL, O_NONBLOCK) < 0)
        return err_set_errno(err, errno, "a pipe");
    return 0;
}

static int start_child(struct pump *pump, struct err *err)
{
    struct process_spec spec = pump->run->spec;
    scoped_fd in = -1;
    scoped_fd out = -1;
    scoped_fd errors = -1;

    if (pump->run->input && spec.stdin_fd >= 0)
        return err_set(err, ERR_INVALID, "there is both an input and a descriptor for it");
    if (pump->run->input_size && pump->run->input) {
        if (open_pipe(&in, &pump->fds[WATCH_INPUT], true, err) < 0)
            return -1;
        spec.stdin_fd = in;
    }
    if (spec.stdout_fd < 0) {
        if (open_pipe(&out, &pump->fds[WATCH_STDOUT], false, err) < 0)
            return -1;
        spec.stdout_fd = out;
    }
    if (spec.stderr_fd < 0) {
        if (open_pipe(&errors, &pump->fds[WATCH_STDERR], false, err) < 0)
            return -1;
        spec.stderr_fd = errors;
    }
    pump->started_ms = clock_monotonic_ms();
    if (process_start(&spec, &pump->pid, err) < 0)
        return -1;
    pump->fds[WATCH_END] = pidfd_open(pump->pid, 0); /* -1: no such call; then we look often */
    return 0;
}

static int reap(struct pump *pump, struct err *err)
{
    int status = 0;

    while (waitpid(pump->pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_set_errno(err, errno, "waiting for %s", pump->run->spec.argv[0]);
    pump->end.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    pump->end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    pump->end.took_ms = clock_monotonic_ms() - pump->started_ms;
    return 0;
}

int process_run(const struct process_run *run, struct process_end *out, struct err *err)
{
    __attribute__((cleanup(pump_done))) struct pump pump = {
        .run = run,
        .fds = {-1, -1, -1, -1},
    };

    if (start_child(&pump, err) < 0)
        return -1;
    pump_until_over(&pump);
    if (reap(&pump, err) < 0)
        return -1;
    *out = pump.end;
    if (run->end_descendants
        && process_end_descendants(run->term_grace_ms > 0 ? run->term_grace_ms : TERM_GRACE_MS,
                                   err)
               < 0)
        return err_wrap(err, "%s", run->spec.argv[0]);
    return 0;
}
