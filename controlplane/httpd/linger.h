/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_LINGER_H
#define HTTPD_LINGER_H
#include <stdbool.h>
#include <stdint.h>

/*
 * Connections that were refused while the client was still sending. Closing a TCP socket
 * with unread input resets it, and the reset can overtake the answer; so such a socket is
 * kept a moment longer and what comes is thrown away. Used on the loop only.
 */
struct linger_socket;

struct linger_set {
    int poll_fd;
    struct linger_socket *first; /* in the order of their deadlines */
    struct linger_socket *last;
    int count;
};

/* Keeps a duplicate of `fd` open, unless there are too many already. */
void linger_add(struct linger_set *linger, int fd, int64_t now_ms);

/* The poll_fd says there is something to read; `event` is what it was registered with. */
void linger_read(struct linger_set *linger, struct linger_socket *event);

void linger_close_late(struct linger_set *linger, int64_t now_ms);
int64_t linger_next_due_ms(const struct linger_set *linger); /* -1: never */
void linger_close_all(struct linger_set *linger);
#endif
