/* SPDX-License-Identifier: Apache-2.0 */
#include "standin.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "test.h"

#include "base/alloc.h"
#include "net/net.h"
#include "process/process.h"

#define FLAGS_MAX 16

static void start_program(struct standin *out, const char *program, const char *port_file,
                          const char *const *flags)
{
    struct process_spec spec = PROCESS_SPEC_DEFAULTS;
    scoped_str path = xasprintf("PATH=%s", getenv("PATH"));
    const char *env[] = {path, "PYTHONDONTWRITEBYTECODE=1", NULL};
    const char *argv[FLAGS_MAX] = {program, "--exit-with-parent", "--port-file", port_file};
    struct err err = {0};

    for (size_t i = 4; flags && *flags && i < FLAGS_MAX - 1; i++)
        argv[i] = *flags++;
    spec.argv = argv;
    spec.env = env;
    assert_ok(process_start(&spec, &out->pid, &err), err);
}

void standin_start(struct standin *out, const char *program, const char *dir,
                   const char *const *flags)
{
    const struct net_options options = {.user_agent = "test/1"};
    scoped_str port_file = xasprintf("%s/standin-port", dir);
    scoped_buf port = {0};
    struct err err = {0};

    *out = (struct standin){0};
    (void)unlink(port_file); /* of one before it */
    start_program(out, program, port_file, flags);
    wait_until(access(port_file, R_OK) == 0, STANDIN_START_MS);
    assert_ok(buf_read_file(&port, port_file, 100, &err), err);
    out->port = (int)strtol(port.data, NULL, 10);
    out->net = net_new(&options, &err);
    assert_made(out->net, err);
}

void standin_stop(struct standin *standin)
{
    net_free(standin->net);
    if (standin->pid > 0) {
        (void)kill(standin->pid, SIGTERM);
        (void)waitpid(standin->pid, NULL, 0);
    }
    *standin = (struct standin){0};
}

cJSON *standin_call(struct standin *standin, const char *method, const char *path,
                    const char *json, const char *const *headers)
{
    scoped_str url = xasprintf("http://127.0.0.1:%d%s", standin->port, path);
    const struct net_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .body = json,
        .body_size = json ? strlen(json) : 0,
        .content_type = strcmp(method, "PATCH") == 0 ? "application/merge-patch+json" : NULL,
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
