/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENT_WALLED_H
#define AGENT_WALLED_H
#include "git/workspace.h"
#include "home/assignment.h"
#include "home/events.h"
#include "home/settings.h"
#include "process/process.h"
#include "text/text_list.h"

/*
 * Untrusted programs in the checkout: the agent, and the tests it leaves behind. What is the
 * same for all of them: an environment made from nothing, the sandbox, the clock, and the end
 * of every process that was started.
 */
struct walled {
    const struct assignment *assignment;
    const struct workspace *workspace;
    const struct settings *settings;
    struct events *events; /* is told what the sandbox is made of */
    const char *const *argv;
    const char *const *env; /* beside what all get; NULL: nothing */
    const char *input;      /* for its stdin; NULL: none */
    int timeout_s;
    const volatile bool *stop;
    void (*on_output)(void *ctx, enum process_stream stream, const char *data, size_t size);
    void *ctx;
};

/*
 * 0 with how it ended, whatever its exit code. ERR_INTERNAL: the sandbox can't be had, or
 * processes outlived it, so that its tree must not be touched; ERR_UPSTREAM: it can't be
 * started.
 */
int walled_run(const struct walled *walled, struct process_end *out, struct err *err) CHECKED;
#endif
