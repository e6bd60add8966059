/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/bridge.h"

#include <errno.h>
#include <libgen.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/alloc.h"

#define PIECE_BYTES 16384
#define EXIT_UNREACHABLE 2

/* Until one of them ends; waits for whichever is slow. */
static void carry(int from, int to)
{
    char piece[PIECE_BYTES];
    ssize_t size;

    while ((size = read(from, piece, sizeof(piece))) > 0 || (size < 0 && errno == EINTR)) {
        for (ssize_t at = 0; at < size;) {
            ssize_t written = write(to, piece + at, (size_t)(size - at));

            if (written < 0 && errno != EINTR)
                return;
            at += written > 0 ? written : 0;
        }
    }
}

static void *carry_in(void *ctx)
{
    const int *fd = ctx;

    carry(STDIN_FILENO, *fd);
    (void)shutdown(*fd, SHUT_WR); /* the server hangs up, which ends us */
    return NULL;
}

/* From the socket's directory: its path may be longer than an address can say. */
static int reach(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    scoped_str directory = xstrdup(path);
    scoped_str name = xstrdup(path);
    scoped_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || chdir(dirname(directory)) < 0)
        return -1;
    if (snprintf(address.sun_path, sizeof(address.sun_path), "%s", basename(name))
        >= (int)sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -1;
    return TAKE_FD(fd);
}

int bridge_main(int argc, char **argv)
{
    pthread_t thread;
    scoped_fd fd = -1;

    if (argc != 1) {
        (void)fprintf(stderr, "usage: dispatch-runner mcp SOCKET\n");
        return EXIT_UNREACHABLE;
    }
    fd = reach(argv[0]);
    if (fd < 0 || pthread_create(&thread, NULL, carry_in, &fd) != 0) {
        (void)fprintf(stderr, "dispatch-runner: %s: %s\n", argv[0], strerror(errno));
        return EXIT_UNREACHABLE;
    }
    (void)pthread_detach(thread);
    carry(fd, STDOUT_FILENO);
    _exit(0); /* whatever the other thread waits for */
}
