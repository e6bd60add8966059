/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/prctl.h>

#include "base/alloc.h"
#include "base/log.h"
#include "crypto/random.h"
#include "git/credential.h"
#include "git/workspace.h"
#include "home/events.h"
#include "home/heartbeat.h"
#include "home/home.h"
#include "home/outcome.h"
#include "home/settings.h"
#include "home/stop.h"
#include "mcp/bridge.h"
#include "process/process.h"
#include "task/task.h"

/*
 * dispatch-runner: does one run and ends.
 *
 *     dispatch-runner               the run that the environment names (settings.h)
 *     dispatch-runner --version
 *     dispatch-runner git-credential PROTOCOL HOST FD OPERATION     for git (credential.h)
 *     dispatch-runner mcp SOCKET    the agent's way to the run's tools (bridge.h)
 *
 * Exit codes: the outcome, for supervisors that look at nothing else.
 */
enum exit_code {
    EXIT_COMPLETED = 0,
    EXIT_FAILED = 1,
    EXIT_BAD_ENVIRONMENT = 2, /* or usage */
    EXIT_NOT_CLAIMED = 3,     /* the run is another's, has ended, or home never answered */
    EXIT_STOPPED = 4,
};

/* How long events may take on their way home once the run has ended. */
#define LAST_EVENTS_MS 15000
#define LAST_EVENTS_STOPPED_MS 3000

static int quit_with(enum exit_code code, const char *what, const struct err *err)
{
    log_error(what, KV("error", err->text));
    return (int)code;
}

static int exit_code_of(const struct outcome *outcome)
{
    switch (outcome->status) {
    case OUTCOME_COMPLETED:
        return EXIT_COMPLETED;
    case OUTCOME_STOPPED:
        return EXIT_STOPPED;
    default:
        return EXIT_FAILED;
    }
}

/* Unique for each start of a runner: the claim belongs to it. */
static char *make_runner_id(void)
{
    char host[65] = "";

    (void)gethostname(host, sizeof(host) - 1);
    return xasprintf("%s-%d-%016llx", host, (int)getpid(), (unsigned long long)random_u64());
}

/* Before home is told anything: should it be away, who waits to kill us won't wait for it. */
static void leave_line(const struct task *task, const struct outcome *outcome)
{
    scoped_str line = outcome_line(outcome, task->settings->run_id, task->redaction);

    outcome_write(line, task->settings->termination_log);
}

static void report(const struct task *task, const struct outcome *outcome)
{
    scoped_str body = outcome_report(outcome, task->settings->run_id, task->redaction);
    struct err err = {0};

    if (home_complete(task->home, body, &err) < 0)
        log_error("the outcome isn't known at home", KV("error", err.text));
}

/* What follows the claim. */
static void do_run(struct task task, struct outcome *outcome)
{
    const struct assignment *assignment = task.assignment;
    scoped(events) events = events_new(task.home, task.redaction);

    task.events = events;
    events_add(events, "started",
               jobj({"runner_version", jstr(DISPATCH_VERSION)},
                    {"attempt", jint(assignment->attempt)}, {"agent", jstr(assignment->agent)},
                    {"repo", jstr(assignment->repo)}));
    task_run(&task, outcome);
    leave_line(&task, outcome);
    events_add(events, "finished",
               jobj({"status", jstr(outcome_status_name(outcome->status))},
                    {"error_code", jstr(outcome->error_code)}));
    events_finish(events, stop_requested() ? LAST_EVENTS_STOPPED_MS : LAST_EVENTS_MS);
}

/* Does what was claimed (takes the document) and reports it. The workspace goes after the
 * report: nobody waits for that. */
static void do_claimed(struct task task, cJSON *claimed, struct outcome *outcome)
{
    scoped_assignment assignment = {0};
    scoped(workspace) workspace = NULL;
    struct heartbeat *heartbeat = NULL;
    struct err err = {0};

    task.assignment = &assignment;
    if (assignment_read(&assignment, claimed, &err) == 0)
        workspace = workspace_new(task.settings->work_dir, assignment.run_id, &err);
    task.workspace = workspace;
    if (workspace) {
        heartbeat = heartbeat_new(task.home, assignment.heartbeat_s * 1000);
        do_run(task, outcome);
    } else {
        (void)outcome_fail(outcome, CODE_INTERNAL, &err);
        leave_line(&task, outcome);
    }
    report(&task, outcome);
    heartbeat_free(heartbeat);
}

static int run(const struct settings *settings, struct redaction *redaction)
{
    struct err err = {0};
    struct net_options net_options = {
        .user_agent = "dispatch-runner/" DISPATCH_VERSION,
        .ca_file = settings->ca_file,
        .proxy = "",
    };
    scoped_outcome outcome = {.status = OUTCOME_FAILED};
    scoped_str runner_id = make_runner_id();
    cJSON *claimed;

    if (process_become_subreaper(&err) < 0)
        return quit_with(EXIT_BAD_ENVIRONMENT, "can't run here", &err);
    scoped(net) net = net_new(&net_options, &err);
    if (!net)
        return quit_with(EXIT_BAD_ENVIRONMENT, "no network", &err);
    scoped(home) home = home_new(net, settings);
    claimed = home_claim(home, runner_id, &err);
    if (!claimed)
        return quit_with(EXIT_NOT_CLAIMED, "the run isn't ours", &err);

    struct task task = {.settings = settings, .home = home, .net = net, .redaction = redaction};
    do_claimed(task, claimed, &outcome);
    return exit_code_of(&outcome);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    scoped_settings settings = {0};

    /* First of all: from here on nobody without CAP_SYS_PTRACE looks into this process. */
    (void)prctl(PR_SET_DUMPABLE, 0);
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return printf("dispatch-runner %s\n", DISPATCH_VERSION) < 0;
    if (argc > 1 && strcmp(argv[1], "git-credential") == 0)
        return credential_helper_main(argc - 2, argv + 2, stdin, stdout);
    if (argc > 1 && strcmp(argv[1], "mcp") == 0)
        return bridge_main(argc - 2, argv + 2);
    if (argc > 1) {
        (void)fprintf(stderr, "usage: dispatch-runner [--version]\n");
        return EXIT_BAD_ENVIRONMENT;
    }
    json_setup();
    stop_on_signals();
    if (settings_load(&settings, &err) < 0)
        return quit_with(EXIT_BAD_ENVIRONMENT, "the environment is incomplete", &err);
    scoped(redaction) redaction = redaction_new();
    redaction_add(redaction, settings.task_token);
    return run(&settings, redaction);
}
