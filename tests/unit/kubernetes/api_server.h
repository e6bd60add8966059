/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_KUBERNETES_API_SERVER_H
#define UNIT_KUBERNETES_API_SERVER_H
#include "../net/server.h"

#include "kubernetes/cluster.h"

/*
 * An API server that gives the answers of a script in order, one a request, the last one again
 * and again, and knows the ways in which a stream can end.
 */
enum then {
    WHOLE, /* an answer with its length */
    END,   /* a stream that ends as it should */
    CUT,   /* one whose connection breaks */
    HANG,  /* one that stays open until the client or the test goes */
    RESET, /* no answer at all */
};

struct said {
    int status;
    enum then then;
    const char *headers; /* "Name: value\r\n" each, or NULL */
    const char *body;
};

struct script {
    const struct said *all;
    size_t count;
    _Atomic size_t next;
};

/* False: this connection is done. */
static bool say(struct conn *conn, const struct said *said)
{
    const char *headers = said->headers ? said->headers : "";
    scoped_str text = NULL;

    if (said->then == RESET) {
        conn_reset(conn);
        return false;
    }
    if (said->then == WHOLE) {
        text = xasprintf("HTTP/1.1 %d Said\r\n%sContent-Length: %zu\r\n\r\n%s", said->status,
                         headers, strlen(said->body), said->body);
        return conn_say(conn, text);
    }
    text = xasprintf("HTTP/1.1 %d Said\r\n%sTransfer-Encoding: chunked\r\n\r\n", said->status,
                     headers);
    if (*said->body) {
        scoped_str chunk = xasprintf("%s%zx\r\n%s\r\n", text, strlen(said->body), said->body);

        free(text);
        text = TAKE(chunk);
    }
    if (!conn_say(conn, text))
        return false;
    if (said->then == END)
        return conn_say(conn, "0\r\n\r\n");
    if (said->then == HANG)
        conn_hang(conn);
    return false;
}

static void serve_script(struct conn *conn)
{
    struct script *script = conn->server->ctx;

    while (conn_read(conn)) {
        size_t at = script->next++;

        if (!say(conn, &script->all[at < script->count ? at : script->count - 1]))
            return;
    }
}

#define api_server_start(server, script)                                                       \
    do {                                                                                       \
        server_start((server), serve_script, NULL);                                            \
        (server)->ctx = (script);                                                              \
    } while (0)

#define SCRIPT(...)                                                                            \
    {                                                                                          \
        .all = (const struct said[]){__VA_ARGS__},                                             \
        .count = sizeof((const struct said[]){__VA_ARGS__}) / sizeof(struct said)              \
    }

/* A kubeconfig in `dir` for a user with `credential` (a line of YAML), as its path for the
 * caller to free. */
__attribute__((unused)) static char *kubeconfig_for(const char *dir, const char *url,
                                                    const char *credential)
{
    scoped_str text =
        xasprintf("apiVersion: v1\n"
                  "kind: Config\n"
                  "current-context: test\n"
                  "contexts:\n"
                  "- {name: test, context: {cluster: c, user: u, namespace: runs}}\n"
                  "clusters:\n"
                  "- name: c\n"
                  "  cluster: {server: \"%s\"}\n"
                  "users:\n"
                  "- name: u\n"
                  "  user:\n"
                  "    %s\n",
                  url, credential);

    test_file_write(dir, "kubeconfig", text);
    return xasprintf("%s/kubeconfig", dir);
}

/* A cluster that is this server. */
__attribute__((unused)) static struct cluster *
open_cluster(const struct server *server, const char *dir, struct cluster_options options)
{
    scoped_str url = server_url(server, "");
    scoped_str path = kubeconfig_for(dir, url, "token: sesame");
    struct err err = {0};
    struct cluster *cluster;

    options.kubeconfig = path;
    cluster = cluster_open(&options, &err);
    assert_made(cluster, err);
    return cluster;
}
#endif
