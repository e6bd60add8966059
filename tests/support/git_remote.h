/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_RUNNER_GIT_REMOTE_H
#define UNIT_RUNNER_GIT_REMOTE_H
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "git/credential.h"
#include "git/git.h"
#include "process/process.h"
#include "text/text_list.h"

/*
 * A real git remote over authenticated smart HTTP for a test program: the GitHub stand-in
 * with repositories that a shell script made. The program also plays the runner's part as
 * git's credential helper, so it uses GIT_REMOTE_MAIN instead of TEST_MAIN.
 */
#define REMOTE_TOKEN "ghs_remotetoken42"
#define STAND_IN "tests/support/github-standin/github-standin"

struct git_remote {
    char *dir;
    char *url; /* http://127.0.0.1:PORT */
    pid_t pid;
};

static struct git_remote remote;

static void collect_output(void *ctx, enum process_stream stream, const char *data, size_t size)
{
    (void)stream;
    buf_append(ctx, data, size);
}

/* What sh prints, run with $1 the directory of the remote and $2 the argument, for the caller
 * to free. Fails the test unless it ends well. */
static char *shell(const char *script, const char *argument)
{
    const char *argv[] = {"/bin/sh", "-ec", script, "sh", remote.dir, argument, NULL};
    scoped_str path = xasprintf("PATH=%s", getenv("PATH"));
    scoped_str home = xasprintf("HOME=%s", remote.dir);
    const char *env[] = {path,
                         home,
                         "GIT_CONFIG_NOSYSTEM=1",
                         "GIT_AUTHOR_NAME=T",
                         "GIT_AUTHOR_EMAIL=t@x",
                         "GIT_COMMITTER_NAME=T",
                         "GIT_COMMITTER_EMAIL=t@x",
                         NULL};
    scoped_buf output = {0};
    struct process_end end = {0};
    struct process_run run = {
        .spec = PROCESS_SPEC_DEFAULTS,
        .wall_clock_ms = 60000,
        .on_output = collect_output,
        .ctx = &output,
    };
    struct err err = {0};

    run.spec.argv = argv;
    run.spec.env = env;
    assert_ok(process_run(&run, &end, &err), err);
    if (end.exit_code != 0)
        fail_msg("the script ended with %d: %s", end.exit_code, output.data);
    return buf_take(&output);
}

/* Starts the stand-in over the repositories ("o/n", NULL at the end) that the script creates
 * below $1 as o/n.git. */
static void remote_start(const char *make_repositories, const char *const *repositories)
{
    struct process_spec spec = PROCESS_SPEC_DEFAULTS;
    scoped_text_list argv = {0};
    scoped_text_list env = {0};
    scoped_buf port = {0};
    struct err err = {0};

    remote.dir = test_dir_new();
    free(shell(make_repositories, NULL));
    scoped_str port_file = xasprintf("%s/port", remote.dir);
    text_list_add(&argv, STAND_IN);
    text_list_add(&argv, "--dir=%s", remote.dir);
    text_list_add(&argv, "--port-file=%s", port_file);
    text_list_add(&argv, "--token=" REMOTE_TOKEN);
    text_list_add(&argv, "--exit-with-parent");
    for (; *repositories; repositories++)
        text_list_add(&argv, "--repo=%s", *repositories);
    text_list_add(&env, "PATH=%s", getenv("PATH"));
    text_list_add(&env, "PYTHONDONTWRITEBYTECODE=1");
    spec.argv = text_list_view(&argv);
    spec.env = text_list_view(&env);
    assert_ok(process_start(&spec, &remote.pid, &err), err);
    wait_until(access(port_file, R_OK) == 0, 60000);
    assert_ok(buf_read_file(&port, port_file, 100, &err), err);
    remote.url = xasprintf("http://127.0.0.1:%ld", strtol(port.data, NULL, 10));
}

static void remote_stop(void)
{
    if (remote.pid > 0) {
        (void)kill(remote.pid, SIGTERM);
        (void)waitpid(remote.pid, NULL, 0);
    }
    test_dir_remove(remote.dir);
    free(remote.dir);
    free(remote.url);
}

/* A git for OWNER/NAME there. */
__attribute__((unused)) static struct git *git_for(const char *repo, const char *token_text,
                                                   struct redaction *redaction)
{
    scoped_str url = xasprintf("%s/%s.git", remote.url, repo);
    struct git_options options = {
        .self = "/proc/self/exe",
        .clone_url = url,
        .user_name = "bot",
        .user_email = "bot@x",
        .redaction = redaction,
    };
    scoped(secret) token = secret_new(token_text);
    struct err err = {0};
    struct git *git = git_new(&options, &err);

    assert_made(git, err);
    assert_ok(git_set_token(git, token, &err), err);
    return git;
}

#define GIT_REMOTE_MAIN(make_repositories, repositories, ...)                                  \
    static int start_group(void **state)                                                       \
    {                                                                                          \
        (void)state;                                                                           \
        remote_start((make_repositories), (repositories));                                     \
        return 0;                                                                              \
    }                                                                                          \
    static int stop_group(void **state)                                                        \
    {                                                                                          \
        (void)state;                                                                           \
        remote_stop();                                                                         \
        return 0;                                                                              \
    }                                                                                          \
    int main(int argc, char **argv)                                                            \
    {                                                                                          \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                                       \
                                                                                               \
        if (argc > 1 && strcmp(argv[1], "git-credential") == 0)                                \
            return credential_helper_main(argc - 2, argv + 2, stdin, stdout);                  \
        if (getenv("T"))                                                                       \
            cmocka_set_test_filter(getenv("T"));                                               \
        return cmocka_run_group_tests(tests, start_group, stop_group);                         \
    }
#endif
