/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/port_forward.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "process/process.h"

#define SERVICE "svc/dispatchd"
#define PORT_NAME "http"
#define SAID_MAX_BYTES 4096
#define END_GRACE_MS 2000
#define END_LOOK_US 10000
#define FLAGS_MAX 12

struct port_forward {
    pid_t pid;
    int output; /* stays open, as kubectl ends when it can't write */
    int port;
};

extern char **environ;

/* Ours without the credential, which is none of kubectl's business. Texts are borrowed. */
static const char **environment_without_token(void)
{
    size_t count = 0;
    const char **copy;

    while (environ[count])
        count++;
    copy = xcalloc(count + 1, sizeof(*copy));
    count = 0;
    for (char **at = environ; *at; at++)
        if (strncmp(*at, "DISPATCH_TOKEN=", 15) != 0)
            copy[count++] = *at;
    return copy;
}

struct words {
    const char *argv[FLAGS_MAX + 8];
    size_t count;
};

static void add(struct words *words, const char *word)
{
    words->argv[words->count++] = word;
}

static void add_flags(struct words *words, const struct kubectl_flags *flags)
{
    add(words, "kubectl");
    if (flags->kubeconfig) {
        add(words, "--kubeconfig");
        add(words, flags->kubeconfig);
    }
    if (flags->context) {
        add(words, "--context");
        add(words, flags->context);
    }
}

static int no_kubectl(struct err *err)
{
    if (err->kind == ERR_NOT_FOUND)
        return err_set(err, ERR_INVALID,
                       "kubectl isn't in $PATH: it is how dispatchd in a cluster is reached; "
                       "or name an address with --server");
    return err_wrap(err, "starting kubectl");
}

/* --- The context -------------------------------------------------------------------------- */

static void collect(void *ctx, enum process_stream stream, const char *data, size_t size)
{
    struct buf *said = ctx;

    (void)stream;
    (void)buf_append_within(said, data, size, SAID_MAX_BYTES);
}

char *port_forward_context(const struct kubectl_flags *flags, struct err *err)
{
    struct words words = {0};
    const char **env = environment_without_token();
    scoped_buf said = {0};
    struct process_end end;
    struct process_run run = {
        .spec = PROCESS_SPEC_DEFAULTS,
        .wall_clock_ms = PORT_FORWARD_START_MS,
        .on_output = collect,
        .ctx = &said,
    };
    int result;

    add_flags(&words, flags);
    if (flags->context) {
        free(env);
        return xstrdup(flags->context);
    }
    add(&words, "config");
    add(&words, "current-context");
    run.spec.argv = words.argv;
    run.spec.env = env;
    result = process_run(&run, &end, err);
    free(env);
    if (result < 0) {
        (void)no_kubectl(err);
        return NULL;
    }
    if (said.data)
        said.data[strcspn(said.data, "\n")] = '\0';
    if (end.exit_code != 0 || !said.size) {
        (void)err_set(err, ERR_INVALID, "kubectl config current-context: %s",
                      said.size ? said.data : "it failed");
        return NULL;
    }
    return xstrdup(said.data);
}

/* --- The port ----------------------------------------------------------------------------- */

int port_forward_parse(const char *line)
{
    static const char begin[] = "Forwarding from 127.0.0.1:";
    char *end;
    long port;

    if (strncmp(line, begin, sizeof(begin) - 1) != 0)
        return 0;
    port = strtol(line + sizeof(begin) - 1, &end, 10);
    return strncmp(end, " -> ", 4) == 0 && port > 0 && port < 65536 ? (int)port : 0;
}

/* In the child: it must not outlive us, however we end. */
static int end_with_parent(void *ctx)
{
    (void)ctx;
    return prctl(PR_SET_PDEATHSIG, SIGTERM) < 0;
}

static int start(struct port_forward *forward, const struct kubectl_flags *flags,
                 struct err *err)
{
    struct words words = {0};
    const char **env = environment_without_token();
    struct process_spec spec = PROCESS_SPEC_DEFAULTS;
    int ends[2];
    int result;

    if (pipe2(ends, O_CLOEXEC) < 0) {
        free(env);
        return err_set_errno(err, errno, "a pipe");
    }
    forward->output = ends[0];
    add_flags(&words, flags);
    add(&words, "--namespace");
    add(&words, flags->name_space ? flags->name_space : "dispatch");
    add(&words, "port-forward");
    add(&words, "--address=127.0.0.1");
    add(&words, SERVICE);
    add(&words, ":" PORT_NAME);
    spec.argv = words.argv;
    spec.env = env;
    spec.stdout_fd = ends[1];
    spec.stderr_fd = ends[1];
    spec.before_exec = end_with_parent;
    result = process_start(&spec, &forward->pid, err);
    (void)close(ends[1]);
    free(env);
    return result < 0 ? no_kubectl(err) : 0;
}

/* The port in one of the whole lines; 0: not yet. */
static int look_for_port(const struct buf *said)
{
    const char *line = said->data;

    while (line && strchr(line, '\n')) {
        int port = port_forward_parse(line);

        if (port)
            return port;
        line = strchr(line, '\n') + 1;
    }
    return 0;
}

static int kubectl_failed(struct buf *said, struct err *err)
{
    for (size_t i = 0; i < said->size; i++)
        if (said->data[i] == '\n')
            said->data[i] = ' ';
    return err_set(err, ERR_UNAVAILABLE, "kubectl port-forward " SERVICE ": %s",
                   said->size ? said->data : "it ended without a word");
}

static int wait_for_port(struct port_forward *forward, struct err *err)
{
    int64_t until_ms = clock_monotonic_ms() + PORT_FORWARD_START_MS;
    scoped_buf said = {0};

    while (!(forward->port = look_for_port(&said))) {
        struct pollfd wanted = {.fd = forward->output, .events = POLLIN};
        int64_t left_ms = until_ms - clock_monotonic_ms();
        char piece[512];
        ssize_t got;

        if (left_ms <= 0)
            return err_set(err, ERR_TIMEOUT,
                           "kubectl port-forward " SERVICE ": nothing within %d s",
                           PORT_FORWARD_START_MS / 1000);
        if (poll(&wanted, 1, (int)left_ms) < 0 && errno != EINTR)
            return err_set_errno(err, errno, "waiting for kubectl");
        if (!(wanted.revents & (POLLIN | POLLHUP)))
            continue;
        got = read(forward->output, piece, sizeof(piece));
        if (got <= 0 || !buf_append_within(&said, piece, (size_t)got, SAID_MAX_BYTES))
            return kubectl_failed(&said, err);
    }
    return 0;
}

struct port_forward *port_forward_open(const struct kubectl_flags *flags, struct err *err)
{
    scoped(port_forward) forward = xcalloc(1, sizeof(*forward));

    forward->output = -1;
    if (start(forward, flags, err) < 0 || wait_for_port(forward, err) < 0)
        return NULL;
    return TAKE(forward);
}

void port_forward_free(struct port_forward *forward)
{
    int64_t until_ms = clock_monotonic_ms() + END_GRACE_MS;

    if (!forward)
        return;
    if (forward->pid > 0) {
        (void)kill(-forward->pid, SIGTERM);
        while (waitpid(forward->pid, NULL, WNOHANG) == 0) {
            if (clock_monotonic_ms() > until_ms)
                (void)kill(-forward->pid, SIGKILL);
            (void)usleep(END_LOOK_US);
        }
    }
    if (forward->output >= 0)
        (void)close(forward->output);
    free(forward);
}

int port_forward_port(const struct port_forward *forward)
{
    return forward->port;
}
