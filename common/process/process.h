/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROCESS_PROCESS_H
#define PROCESS_PROCESS_H
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Child processes, always started without a shell, with exactly the argv, environment and
 * descriptors named here: every other descriptor is closed and signals are back at their
 * defaults. A child leads a process group (or session) of its own.
 */
struct process_spec {
    const char *const *argv; /* NULL at the end; argv[0] with a slash is that file,
                                without one it is looked up in env's PATH */
    const char *const *env;  /* "NAME=value", NULL at the end; NULL: empty */
    const char *cwd;         /* NULL: ours */
    const int *keep_fds;     /* descriptors that the child has too, same numbers */
    size_t n_keep_fds;
    bool new_session; /* setsid: it outlives us and our terminal */
    int stdin_fd;     /* -1: /dev/null, or the bytes of `input` */
    int stdout_fd;    /* -1: /dev/null (process_run: pumped to on_output) */
    int stderr_fd;

    /* Runs in the child after everything else is set up and just before exec. Only
     * async-signal-safe calls. A non-zero return ends the child with that exit code. */
    int (*before_exec)(void *ctx);
    void *before_exec_ctx;
};

/* An all-zero spec means stdin 0: start from this. */
#define PROCESS_SPEC_DEFAULTS                                                                  \
    {                                                                                          \
        .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1                                       \
    }

/* Starts it and returns at once. The pid is the caller's to wait for. A program that can't
 * be executed is an error here, not an exit code: ERR_NOT_FOUND, ERR_DENIED, ERR_INTERNAL. */
int process_start(const struct process_spec *spec, pid_t *out_pid, struct err *err) CHECKED;

/* Which end it came to. */
struct process_end {
    int exit_code;  /* -1 when a signal ended it */
    int signal;     /* 0 when it exited */
    bool timed_out; /* the wall clock ran out and we ended it */
    bool stopped;   /* *stop became true and we ended it */
    int64_t took_ms;
    uint64_t output_bytes; /* read from both streams, also what was dropped */
};

enum process_stream { PROCESS_STDOUT = 1, PROCESS_STDERR = 2 };

struct process_run {
    struct process_spec spec;
    const void *input; /* written to its stdin, then closed; NULL: /dev/null */
    size_t input_size;
    int wall_clock_ms;         /* 0: no limit */
    int term_grace_ms;         /* between TERM and KILL; 0: 2 000 */
    const volatile bool *stop; /* becomes true: TERM, grace, KILL; NULL: never. Looked at
                                  every 100 ms at the latest */
    uint64_t output_max_bytes; /* of both streams; what is beyond is read and dropped; 0: no
                                  limit */
    /* Each piece as it arrives, on the caller's thread; NULL: dropped. */
    void (*on_output)(void *ctx, enum process_stream stream, const char *data, size_t size);
    void *ctx;
    bool end_descendants; /* afterwards, end whatever the child left behind, wherever it
                             went: needs process_become_subreaper before */
};

/*
 * Starts a child, feeds and drains it, and waits for its end. When the time is up or *stop is
 * set: TERM to the whole group, after term_grace_ms KILL. A child that exits but leaves a
 * pipe open in a descendant doesn't hold us up.
 */
int process_run(const struct process_run *run, struct process_end *out,
                struct err *err) CHECKED;

/* From now on orphaned descendants become our children (prctl PR_SET_CHILD_SUBREAPER). */
int process_become_subreaper(struct err *err) CHECKED;

/* TERM, `grace_ms` (0: none), then KILL to every descendant of this process, daemons and fork
 * bombs included, until none is left. ERR_TIMEOUT when some can't be ended in 10 s. It ends and
 * reaps every child there is, also those that another thread waits for: for a program whose
 * only child is the one it is done with. */
int process_end_descendants(int grace_ms, struct err *err) CHECKED;

/* A command line of the operator's as argv: words split at blanks, 'single' and "double"
 * quotes group, backslash quotes one character; nothing is expanded. ERR_INVALID when empty
 * or a quote is left open. Free with process_argv_free. */
char **process_argv_parse(const char *command_line, struct err *err) CHECKED;
void process_argv_free(char **argv);
#endif
