/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBERNETES_FEED_H
#define KUBERNETES_FEED_H
#include "kubernetes/cluster.h"

/*
 * The lines of a stream for somebody who asks for them one by one: a thread of the feed's sits
 * in cluster_stream, and what comes waits here. One reader at a time. When the reader is so
 * slow that FEED_WAITING_MAX bytes wait, the stream ends with ERR_UNAVAILABLE after those.
 */
struct feed;

#define FEED_LINE_MAX ((size_t)8 * 1024 * 1024) /* an object is 1.5 MiB at most in etcd */
#define FEED_WAITING_MAX ((size_t)16 * 1024 * 1024)

/* on_heard (may be NULL) is called from another thread at each sign of life. */
struct feed_options {
    struct cluster *cluster; /* outlives it, and so does the path */
    const char *path;
    const char *query; /* copied */
    int silence_ms;
    void (*on_heard)(void *ctx);
    void *ctx;
};

struct feed *feed_open(const struct feed_options *options, struct err *err) CHECKED;
/* Ends the stream wherever it is; the reader gets ERR_UNAVAILABLE. From any thread. */
void feed_stop(struct feed *feed);
void feed_free(struct feed *feed);
DEFINE_SCOPED(feed)

/* Waits until `until_ms` (monotonic). 1: a line, valid until the next call; 0: the stream has
 * ended as it should; -1 with the stream's error; ERR_TIMEOUT with code FEED_NOT_YET when the
 * time was up. */
#define FEED_NOT_YET "not_yet"
int feed_next(struct feed *feed, int64_t until_ms, const char **out, size_t *out_size,
              struct err *err) CHECKED;
#endif
