/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBERNETES_WATCH_H
#define KUBERNETES_WATCH_H
#include "kubernetes/cluster.h"

/*
 * One kind of object in one namespace, kept up with: list, then watch from the list's
 * resourceVersion with bookmarks; after 410 Gone, a broken stream that can't be taken up
 * again, or relist_every_s, list again: the list is the truth. A thread of its own calls the
 * functions below, one at a time and never under a lock.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
struct watch;

struct watch_options {
    struct cluster *cluster;     /* outlives it */
    const char *path;            /* the collection: "/apis/batch/v1/namespaces/x/jobs" */
    const char *label_selector;  /* not escaped; NULL: all */
    int relist_every_s;          /* 0: 300 */
    const char *const *left_out; /* members that objects are given without
                                    (json_parse_without); outlives it; NULL: none */

    /* A list begins: objects not set before on_listed are gone. Pages of a long list arrive as
     * one list; one that breaks off begins again with on_listing. Objects of a list have
     * neither kind nor apiVersion. */
    void (*on_listing)(void *ctx);
    /* An object as it is now, from the list or the watch. Borrowed. */
    void (*on_set)(void *ctx, const cJSON *object);
    void (*on_deleted)(void *ctx, const cJSON *object);
    void (*on_listed)(void *ctx);
    void *ctx;
};

struct watch *watch_start(const struct watch_options *options, struct err *err) CHECKED;
void watch_free(struct watch *watch); /* ends the thread */
DEFINE_SCOPED(watch)

/* Has a list been read, ever? And how long ago was the last sign of life (an answer, an event,
 * a bookmark), in milliseconds. */
bool watch_has_listed(const struct watch *watch);
int64_t watch_silent_ms(const struct watch *watch);
#endif
