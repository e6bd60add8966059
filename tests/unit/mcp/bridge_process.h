/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_MCP_BRIDGE_PROCESS_H
#define UNIT_MCP_BRIDGE_PROCESS_H
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "test.h"

#include "mcp/bridge.h"
#include "process/process.h"
#include "sandbox/sandbox.h"

/*
 * `dispatch-runner mcp SOCKET` as an agent starts it, with pipes to its standard input and
 * output. The test program plays the runner's part: its main begins with BRIDGE_MAIN.
 */
struct bridge_process {
    pid_t pid;
    int in; /* what it reads; -1: closed */
    int out;
};

#define BRIDGE_MAIN(argc, argv)                                                                \
    do {                                                                                       \
        if ((argc) > 1 && strcmp((argv)[1], "mcp") == 0)                                       \
            return bridge_main((argc)-2, (argv) + 2);                                          \
        (void)signal(SIGPIPE, SIG_IGN);                                                        \
    } while (0)

/* `sandbox` may be NULL: none. */
static void bridge_start(struct bridge_process *bridge, const char *socket_path,
                         struct sandbox *sandbox)
{
    char *self = realpath("/proc/self/exe", NULL);
    const char *argv[] = {self, "mcp", socket_path, NULL};
    struct process_spec spec = PROCESS_SPEC_DEFAULTS;
    struct err err = {0};
    int in[2];
    int out[2];

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    spec.argv = argv;
    spec.stdin_fd = in[0];
    spec.stdout_fd = out[1];
    spec.stderr_fd = STDERR_FILENO;
    spec.before_exec = sandbox ? sandbox_enter : NULL;
    spec.before_exec_ctx = sandbox;
    assert_ok(process_start(&spec, &bridge->pid, &err), err);
    free(self);
    (void)close(in[0]);
    (void)close(out[1]);
    bridge->in = in[1];
    bridge->out = out[0];
}

static void bridge_close_in(struct bridge_process *bridge)
{
    if (bridge->in >= 0)
        (void)close(bridge->in);
    bridge->in = -1;
}

/* Waits for its end; its exit code, or minus the signal that ended it. */
static int bridge_wait(struct bridge_process *bridge)
{
    int status = 0;

    assert_int_equal(waitpid(bridge->pid, &status, 0), bridge->pid);
    bridge_close_in(bridge);
    (void)close(bridge->out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
#endif
