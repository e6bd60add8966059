/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_CLIENT_H
#define DISPATCHCTL_CLIENT_H
#include "dispatchctl/commands.h"
#include "net/stream.h"
#include "json/json.h"

/*
 * One dispatchd and what it lets us in with. Flags come before the environment, that before the
 * configuration file; a context's credential goes to that context's server and to no other.
 * As kubectl-dispatch, without --server, it is reached through kubectl port-forward.
 */
struct client;

enum client_use {
    CLIENT_WATCHES,    /* needs a credential that may see runs */
    CLIENT_DISPATCHES, /* an integration token will do */
};

/* ERR_INVALID: set up wrongly; ERR_UNAUTHENTICATED: there is no credential; ERR_UNAVAILABLE:
 * the cluster can't be reached. */
struct client *client_open(const struct invocation *call, enum client_use use,
                           struct err *err) CHECKED;
void client_free(struct client *client);
DEFINE_SCOPED(client)

/* Is the credential an integration token? */
bool client_dispatches_only(const struct client *client);
/* What OWNER/NAME is relative to: "https://github.com". */
const char *client_github_url(const struct client *client);

struct client_request {
    const char *method;
    const char *path;   /* with its query, escaped */
    const cJSON *body;  /* NULL: none; borrowed */
    const char *header; /* one more; NULL */
    bool repeatable;    /* asking twice does no harm */
};

/*
 * 0 and the document, which is the caller's; `out` may be NULL. Else what the server said, by
 * kind: ERR_INVALID 400, ERR_UNAUTHENTICATED 401, ERR_DENIED 403, ERR_NOT_FOUND 404,
 * ERR_CONFLICT 409, ERR_LIMITED 429, ERR_UNAVAILABLE 503; ERR_UPSTREAM, ERR_TIMEOUT: no
 * answer, or none to be made sense of. GET is repeatable.
 */
int client_call(struct client *client, const struct client_request *request, cJSON **out,
                struct err *err) CHECKED;
cJSON *client_get(struct client *client, const char *path, struct err *err) CHECKED;

/* One page: `query` without limit and cursor, or NULL; `cursor` NULL: the first. */
cJSON *client_page(struct client *client, const char *path, const char *query,
                   const char *cursor, int64_t limit, struct err *err) CHECKED;
#define CLIENT_PAGE_MAX 1000 /* entries that the server gives at once */

/* All pages of a list, or the first `limit` entries where that isn't 0: one document with the
 * array `key` and `count`, and `next_cursor` where there are more. */
cJSON *client_pages(struct client *client, const char *path, const char *query, const char *key,
                    int64_t limit, struct err *err) CHECKED;

/* An answer that comes bit by bit. `header` as above. The stream may outlive the call, not the
 * client. */
struct net_stream *client_stream(struct client *client, const char *path, const char *accept,
                                 const char *header, struct err *err) CHECKED;
/* What an answer that isn't 2xx means, as client_call has it. Always -1. */
int client_refused(const struct net_answer *answer, const char *body, size_t size,
                   struct err *err);
#endif
