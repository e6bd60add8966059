/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_RUNNER_SCRIPTED_SERVER_H
#define UNIT_RUNNER_SCRIPTED_SERVER_H
#include "../unit/net/server.h"

/* A server that gives the answers of a script in order, one a request, the last one again and
 * again. It is the ctx of a struct server. */
struct scripted_answer {
    int status;          /* 0: the connection is reset instead */
    const char *headers; /* "Name: value\r\n" each, or NULL */
    const char *body;
};

struct script {
    const struct scripted_answer *answers;
    size_t n_answers;
    _Atomic size_t next;
};

static void serve_script(struct conn *conn)
{
    struct script *script = conn->server->ctx;

    while (conn_read(conn)) {
        size_t at = script->next++;
        const struct scripted_answer *answer =
            &script->answers[at < script->n_answers ? at : script->n_answers - 1];
        scoped_str text = xasprintf("HTTP/1.1 %d Said\r\n%sContent-Length: %zu\r\n\r\n%s",
                                    answer->status, answer->headers ? answer->headers : "",
                                    strlen(answer->body), answer->body);

        if (!answer->status) {
            conn_reset(conn);
            return;
        }
        if (!conn_say(conn, text))
            return;
    }
}

#define script_start(server, script)                                                           \
    do {                                                                                       \
        server_start((server), serve_script, NULL);                                            \
        (server)->ctx = (script);                                                              \
    } while (0)
#endif
