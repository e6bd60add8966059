/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_STREAM_ANSWER_H
#define API_STREAM_ANSWER_H
#include "api/app.h"
#include "service/live.h"

/* An answer that is fed from the journal, between httpd's streams and service/live.h. */
struct stream_answer {
    const struct live_face *face;
    struct journal_query query;
    const char *content_type;
    const char *heartbeat; /* sent when nothing else was for a while; NULL: nothing */
    char *greeting;        /* sent first; taken; NULL: nothing */
    bool once;             /* ends when it has caught up; doesn't count against the limit */
};

/* A personal token is looked at again every stream_heartbeat_s: revoked or expired, it ends the
 * stream.
 *
 * 200, or -1 with ERR_LIMITED when the credential has too many streams open. */
int stream_answer(struct app *app, struct request *req, const struct stream_answer *answer,
                  struct err *err) CHECKED;
#endif
