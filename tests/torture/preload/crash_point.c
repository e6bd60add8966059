/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * For LD_PRELOAD: SIGKILL at one chosen boundary of dispatchd. The file that CRASH_POINT names
 * is looked for at each boundary until it is there; it says "BOUNDARY N", and the Nth such
 * boundary from then on is the end: the file is renamed to NAME.hit just before. Boundaries:
 *
 *   commit-before     nothing of a transaction is in the WAL
 *   commit-written    it is there and not synced
 *   commit-after      it is synced and nobody was told
 *   post-before       nothing of a POST is with the upstream
 *   post-sent         all of it is, as far as it went in one piece
 *   post-answered     its answer is there and was not read by dispatchd
 *   answer-before     nothing of an answer is with the client
 *   answer-after      the answer is
 */
#define FDS_MAX 65536
#define WAL "-wal"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t owner;
static const char *order_path;
static char ordered[32];
static int left;
static bool wal_begun;                /* written since it was last synced */
static unsigned char posted[FDS_MAX]; /* what is read next is the answer to a POST */

__attribute__((constructor)) static void set_up(void)
{
    owner = getpid();
    order_path = getenv("CRASH_POINT");
}

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

/* Has somebody asked for a crash? */
static bool is_ordered(void)
{
    char text[64] = "";
    ssize_t (*read_it)(int, void *, size_t) = NULL;
    ssize_t size;
    int fd;

    if (left > 0)
        return true;
    fd = open(order_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    *(void **)&read_it = real("read");
    size = read_it(fd, text, sizeof(text) - 1);
    (void)close(fd);
    return size > 0 && sscanf(text, "%31s %d", ordered, &left) == 2 && left > 0;
}

static void die(void)
{
    char hit[4096];

    (void)snprintf(hit, sizeof(hit), "%s.hit", order_path);
    (void)rename(order_path, hit);
    (void)tgkill(owner, owner, SIGKILL); /* kill is among what dispatchd has given up */
    for (;;)
        (void)pause();
}

static void boundary(const char *name)
{
    if (!order_path || getpid() != owner)
        return;
    (void)pthread_mutex_lock(&lock);
    if (is_ordered() && strcmp(ordered, name) == 0 && --left == 0)
        die();
    (void)pthread_mutex_unlock(&lock);
}

/* --- Commits ------------------------------------------------------------------------------ */

static bool is_wal(int fd)
{
    char link[64];
    char path[4096];
    ssize_t size;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    size = readlink(link, path, sizeof(path));
    return size > (ssize_t)strlen(WAL)
           && memcmp(path + size - strlen(WAL), WAL, strlen(WAL)) == 0;
}

static void before_write(int fd)
{
    if (wal_begun || !is_wal(fd))
        return;
    wal_begun = true;
    boundary("commit-before");
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at)
{
    ssize_t (*write_it)(int, const void *, size_t, off_t) = NULL;

    *(void **)&write_it = real("pwrite64");
    before_write(fd);
    return write_it(fd, data, size, at);
}

int fdatasync(int fd)
{
    int (*sync_it)(int) = NULL;
    bool commits = is_wal(fd);
    int result;

    *(void **)&sync_it = real("fdatasync");
    if (commits)
        boundary("commit-written");
    result = sync_it(fd);
    if (commits) {
        wal_begun = false;
        boundary("commit-after");
    }
    return result;
}

/* --- Calls and answers -------------------------------------------------------------------- */

enum talk { OTHER, POST, ANSWER };

static enum talk talk_of(const void *data, size_t size)
{
    if (size > 5 && memcmp(data, "POST ", 5) == 0)
        return POST;
    return size > 7 && memcmp(data, "HTTP/1.", 7) == 0 ? ANSWER : OTHER;
}

static void before(enum talk talk)
{
    if (talk != OTHER)
        boundary(talk == POST ? "post-before" : "answer-before");
}

static void after(enum talk talk, int fd)
{
    if (talk == POST && fd >= 0 && fd < FDS_MAX)
        posted[fd] = 1;
    if (talk != OTHER)
        boundary(talk == POST ? "post-sent" : "answer-after");
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
    ssize_t (*send_it)(int, const void *, size_t, int) = NULL;
    enum talk talk = talk_of(data, size);
    ssize_t sent;

    *(void **)&send_it = real("send");
    before(talk);
    sent = send_it(fd, data, size, flags);
    after(talk, fd);
    return sent;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    ssize_t (*send_it)(int, const struct msghdr *, int) = NULL;
    enum talk talk = message->msg_iovlen
                         ? talk_of(message->msg_iov[0].iov_base, message->msg_iov[0].iov_len)
                         : OTHER;
    ssize_t sent;

    *(void **)&send_it = real("sendmsg");
    before(talk);
    sent = send_it(fd, message, flags);
    after(talk, fd);
    return sent;
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
    ssize_t (*receive)(int, void *, size_t, int) = NULL;
    ssize_t came;

    *(void **)&receive = real("recv");
    came = receive(fd, data, size, flags);
    if (came > 0 && fd >= 0 && fd < FDS_MAX && posted[fd]) {
        posted[fd] = 0;
        boundary("post-answered");
    }
    return came;
}
