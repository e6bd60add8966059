/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/linger.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/alloc.h"

/* A polite client reads the answer and closes; the others are not waited for. */
#define LINGER_MS 2000
#define LINGER_BYTES_MAX (8 << 20)
#define LINGER_SOCKETS_MAX 256

struct linger_socket {
    struct linger_socket *previous;
    struct linger_socket *next;
    int fd;
    int64_t due_ms;
    int64_t bytes_left;
};

static void end(struct linger_set *linger, struct linger_socket *s)
{
    *(s->previous ? &s->previous->next : &linger->first) = s->next;
    *(s->next ? &s->next->previous : &linger->last) = s->previous;
    linger->count--;
    /* Closing takes it out of the poll: no other descriptor of this socket is left. */
    (void)close(s->fd);
    free(s);
}

void linger_add(struct linger_set *linger, int fd, int64_t now_ms)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP};
    struct linger_socket *s;
    int copy;

    if (linger->count >= LINGER_SOCKETS_MAX)
        return;
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return;
    (void)shutdown(copy, SHUT_WR);
    s = xcalloc(1, sizeof(*s));
    *s = (struct linger_socket){
        .previous = linger->last,
        .fd = copy,
        .due_ms = now_ms + LINGER_MS,
        .bytes_left = LINGER_BYTES_MAX,
    };
    *(linger->last ? &linger->last->next : &linger->first) = s;
    linger->last = s;
    linger->count++;
    event.data.ptr = s;
    if (epoll_ctl(linger->poll_fd, EPOLL_CTL_ADD, copy, &event) < 0)
        end(linger, s);
}

void linger_read(struct linger_set *linger, struct linger_socket *s)
{
    char away[16384];
    ssize_t got;

    do {
        got = recv(s->fd, away, sizeof(away), MSG_DONTWAIT);
        if (got > 0)
            s->bytes_left -= got;
    } while (got > 0 && s->bytes_left > 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    end(linger, s);
}

static void close_until(struct linger_set *linger, int64_t ms)
{
    struct linger_socket *next;

    for (struct linger_socket *s = linger->first; s && s->due_ms <= ms; s = next) {
        next = s->next;
        end(linger, s);
    }
}

void linger_close_late(struct linger_set *linger, int64_t now_ms)
{
    close_until(linger, now_ms);
}

int64_t linger_next_due_ms(const struct linger_set *linger)
{
    return linger->first ? linger->first->due_ms : -1;
}

void linger_close_all(struct linger_set *linger)
{
    close_until(linger, INT64_MAX);
}
