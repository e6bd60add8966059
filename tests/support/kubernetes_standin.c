/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes_standin.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "test.h"

#include "base/alloc.h"
#include "net/net.h"
#include "process/process.h"

#define PROGRAM "tests/support/kubernetes-standin/kubernetes-standin"
#define FLAGS_MAX 16
#define START_MS 60000

static const char kubeconfig[] = "apiVersion: v1\n"
                                 "kind: Config\n"
                                 "current-context: standin\n"
                                 "contexts:\n"
                                 "- name: standin\n"
                                 "  context: {cluster: standin, user: test, namespace: runs}\n"
                                 "clusters:\n"
                                 "- name: standin\n"
                                 "  cluster: {server: 'http://127.0.0.1:%d'}\n"
                                 "users:\n"
                                 "- name: test\n"
                                 "  user: {}\n";

static void start_program(struct kubernetes_standin *out, const char *port_file,
                          const char *const *flags)
{
    struct process_spec spec = PROCESS_SPEC_DEFAULTS;
    scoped_str path = xasprintf("PATH=%s", getenv("PATH"));
    const char *env[] = {path, "PYTHONDONTWRITEBYTECODE=1", NULL};
    const char *argv[FLAGS_MAX] = {PROGRAM, "--exit-with-parent", "--port-file", port_file};
    struct err err = {0};

    for (size_t i = 4; flags && *flags && i < FLAGS_MAX - 1; i++)
        argv[i] = *flags++;
    spec.argv = argv;
    spec.env = env;
    assert_ok(process_start(&spec, &out->pid, &err), err);
}

void kubernetes_standin_start(struct kubernetes_standin *out, const char *dir,
                              const char *const *flags)
{
    const struct net_options options = {.user_agent = "test/1"};
    scoped_str port_file = xasprintf("%s/standin-port", dir);
    scoped_str text = NULL;
    scoped_buf port = {0};
    struct err err = {0};

    *out = (struct kubernetes_standin){0};
    start_program(out, port_file, flags);
    wait_until(access(port_file, R_OK) == 0, START_MS);
    assert_ok(buf_read_file(&port, port_file, 100, &err), err);
    out->port = (int)strtol(port.data, NULL, 10);
    text = xasprintf(kubeconfig, out->port);
    test_file_write(dir, "kubeconfig", text);
    out->kubeconfig = xasprintf("%s/kubeconfig", dir);
    out->net = net_new(&options, &err);
    assert_made(out->net, err);
}

void kubernetes_standin_stop(struct kubernetes_standin *standin)
{
    net_free(standin->net);
    if (standin->pid > 0) {
        (void)kill(standin->pid, SIGTERM);
        (void)waitpid(standin->pid, NULL, 0);
    }
    free(standin->kubeconfig);
    *standin = (struct kubernetes_standin){0};
}

cJSON *kubernetes_standin_call(struct kubernetes_standin *standin, const char *method,
                               const char *path, const char *json)
{
    scoped_str url = xasprintf("http://127.0.0.1:%d%s", standin->port, path);
    const struct net_request request = {
        .method = method,
        .url = url,
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

void kubernetes_standin_post(struct kubernetes_standin *standin, const char *path,
                             const char *json)
{
    cJSON_Delete(kubernetes_standin_call(standin, "POST", path, json));
}

static bool answers(struct kubernetes_standin *standin)
{
    scoped_str url = xasprintf("http://127.0.0.1:%d/standin/counts", standin->port);
    const struct net_request request = {.method = "GET", .url = url};
    scoped_net_answer answer = {0};
    struct err err = {0};

    return net_call(standin->net, &request, &answer, &err) == 0;
}

void kubernetes_standin_down(struct kubernetes_standin *standin, int for_ms)
{
    scoped_str url = xasprintf("http://127.0.0.1:%d/standin/faults", standin->port);
    scoped_str body = xasprintf("{\"action\": \"down\", \"ms\": %d}", for_ms);
    const struct net_request request = {
        .method = "POST", .url = url, .body = body, .body_size = strlen(body)};
    scoped_net_answer answer = {0};
    struct err err = {0};

    /* The answer to this may be the first thing that is cut. */
    (void)!net_call(standin->net, &request, &answer, &err);
    wait_until(!answers(standin), START_MS);
}

cJSON *kubernetes_standin_get(struct kubernetes_standin *standin, const char *path)
{
    return kubernetes_standin_call(standin, "GET", path, NULL);
}
