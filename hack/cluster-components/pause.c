// SPDX-License-Identifier: Apache-2.0

// The first process of every pod: it holds the pod's namespaces, and reaps what is left to it.
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_terminate(int signal)
{
    (void)signal;
    _exit(0);
}

static void on_child(int signal)
{
    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}

int main(void)
{
    struct sigaction terminate = {.sa_handler = on_terminate};
    struct sigaction child = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP | SA_RESTART};

    if (sigaction(SIGTERM, &terminate, NULL) != 0 || sigaction(SIGINT, &terminate, NULL) != 0
        || sigaction(SIGCHLD, &child, NULL) != 0) {
        return 1;
    }
    for (;;) {
        pause();
    }
}
