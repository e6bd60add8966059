/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes_standin.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"
#include "crypto/random.h"
#include "net/net.h"

#define PROGRAM "tests/support/kubernetes-standin/kubernetes-standin"

static const char kubeconfig[] = "apiVersion: v1\n"
                                 "kind: Config\n"
                                 "current-context: standin\n"
                                 "contexts:\n"
                                 "- name: standin\n"
                                 "  context: {cluster: standin, user: test, namespace: %s}\n"
                                 "clusters:\n"
                                 "- name: standin\n"
                                 "  cluster: {server: 'http://127.0.0.1:%d'}\n"
                                 "users:\n"
                                 "- name: test\n"
                                 "  user: {}\n";

const char *kubernetes_standin_real(void)
{
    const char *path = getenv("TEST_CLUSTER");

    return path && *path ? path : NULL;
}

void kubernetes_standin_start(struct kubernetes_standin *out, const char *dir,
                              const char *const *flags)
{
    const char *real = kubernetes_standin_real();
    scoped_str text = NULL;

    *out = (struct kubernetes_standin){
        .namespace = real ? xasprintf("dispatch-test-%llx", (unsigned long long)random_u64())
                          : xstrdup("runs")};
    if (real) {
        const char *const at[] = {"--cluster", real, "--namespace", out->namespace, NULL};

        standin_start(&out->standin, PROGRAM, dir, at);
    } else {
        standin_start(&out->standin, PROGRAM, dir, flags);
    }
    text = xasprintf(kubeconfig, out->namespace, out->standin.port);
    test_file_write(dir, "kubeconfig", text);
    out->kubeconfig = xasprintf("%s/kubeconfig", dir);
}

void kubernetes_standin_stop(struct kubernetes_standin *standin)
{
    standin_stop(&standin->standin);
    free(standin->kubeconfig);
    free(standin->namespace);
    *standin = (struct kubernetes_standin){0};
}

cJSON *kubernetes_standin_call(struct kubernetes_standin *standin, const char *method,
                               const char *path, const char *json)
{
    return standin_call(&standin->standin, method, path, json, NULL);
}

void kubernetes_standin_post(struct kubernetes_standin *standin, const char *path,
                             const char *json)
{
    cJSON_Delete(kubernetes_standin_call(standin, "POST", path, json));
}

static bool answers(struct kubernetes_standin *standin)
{
    scoped_str url = xasprintf("http://127.0.0.1:%d/standin/counts", standin->standin.port);
    const struct net_request request = {.method = "GET", .url = url};
    scoped_net_answer answer = {0};
    struct err err = {0};

    return net_call(standin->standin.net, &request, &answer, &err) == 0;
}

void kubernetes_standin_down(struct kubernetes_standin *standin, int for_ms)
{
    scoped_str url = xasprintf("http://127.0.0.1:%d/standin/faults", standin->standin.port);
    scoped_str body = xasprintf("{\"action\": \"down\", \"ms\": %d}", for_ms);
    const struct net_request request = {
        .method = "POST", .url = url, .body = body, .body_size = strlen(body)};
    scoped_net_answer answer = {0};
    struct err err = {0};

    /* The answer to this may be the first thing that is cut. */
    (void)!net_call(standin->standin.net, &request, &answer, &err);
    wait_until(!answers(standin), STANDIN_START_MS);
}

cJSON *kubernetes_standin_get(struct kubernetes_standin *standin, const char *path)
{
    return kubernetes_standin_call(standin, "GET", path, NULL);
}
