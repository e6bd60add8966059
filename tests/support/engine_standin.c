/* SPDX-License-Identifier: Apache-2.0 */
#include "engine_standin.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "test.h"

#include "base/alloc.h"
#include "net/net.h"
#include "process/process.h"

#define PROGRAM "tests/support/engine-standin/engine-standin"
#define FLAGS_MAX 16
#define START_MS 60000

const char *engine_standin_real(void)
{
    const char *path = getenv("TEST_ENGINE");

    return path && *path ? path : NULL;
}

static void start_program(struct engine_standin *out, const char *const *flags)
{
    struct process_spec spec = PROCESS_SPEC_DEFAULTS;
    scoped_str path = xasprintf("PATH=%s", getenv("PATH"));
    const char *env[] = {path, "PYTHONDONTWRITEBYTECODE=1", NULL};
    const char *argv[FLAGS_MAX] = {PROGRAM, "--exit-with-parent", "--socket", out->socket};
    struct err err = {0};

    const char *const real[] = {"--engine", engine_standin_real(), NULL};

    if (engine_standin_real())
        flags = real;
    for (size_t i = 4; *flags && i < FLAGS_MAX - 1; i++)
        argv[i] = *flags++;
    spec.argv = argv;
    spec.env = env;
    spec.stderr_fd = STDERR_FILENO;
    assert_ok(process_start(&spec, &out->pid, &err), err);
}

static bool answers(struct engine_standin *standin)
{
    const struct net_request request = {.method = "GET",
                                        .url = "http://docker/standin/requests",
                                        .unix_socket = standin->socket};
    scoped_net_answer answer = {0};
    struct err err = {0};

    return net_call(standin->net, &request, &answer, &err) == 0;
}

void engine_standin_start(struct engine_standin *out, const char *dir, const char *const *flags)
{
    const struct net_options options = {.user_agent = "test/1"};
    struct err err = {0};

    *out = (struct engine_standin){.socket = xasprintf("%s/engine.sock", dir)};
    out->host = xasprintf("unix://%s", out->socket);
    out->net = net_new(&options, &err);
    assert_made(out->net, err);
    start_program(out, flags);
    wait_until(answers(out), START_MS);
}

void engine_standin_stop(struct engine_standin *standin)
{
    net_free(standin->net);
    if (standin->pid > 0) {
        (void)kill(standin->pid, SIGTERM);
        (void)waitpid(standin->pid, NULL, 0);
    }
    free(standin->socket);
    free(standin->host);
    *standin = (struct engine_standin){0};
}

cJSON *engine_standin_call(struct engine_standin *standin, const char *method, const char *path,
                           const char *json)
{
    scoped_str url = xasprintf("http://docker%s", path);
    const struct net_request request = {
        .method = method,
        .url = url,
        .body = json,
        .body_size = json ? strlen(json) : 0,
        .unix_socket = standin->socket,
    };
    scoped_net_answer answer = {0};
    struct err err = {0};
    cJSON *value;

    assert_ok(net_call(standin->net, &request, &answer, &err), err);
    if (answer.status >= 400)
        fail_msg("%s %s: %d %s", method, path, answer.status, answer.body.data);
    value = answer.body.size ? net_answer_json(&answer, &err) : cJSON_CreateNull();
    assert_made(value, err);
    return value;
}

void engine_standin_fault(struct engine_standin *standin, const char *json)
{
    cJSON_Delete(engine_standin_call(standin, "POST", "/standin/faults", json));
}

void engine_standin_clear(struct engine_standin *standin)
{
    cJSON_Delete(engine_standin_call(standin, "DELETE", "/standin/faults", NULL));
}

int engine_standin_asked(struct engine_standin *standin, const char *part)
{
    scoped_str path = xasprintf("/standin/requests?path=%s", part);
    scoped_json requests = engine_standin_call(standin, "GET", path, NULL);

    return cJSON_GetArraySize(requests);
}
