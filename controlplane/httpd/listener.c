/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/alloc.h"

/* Connections the kernel holds until the loop takes them. */
#define BACKLOG 1024

static int name_failure(int number, const char *what, struct err *err)
{
    if (number == EADDRINUSE)
        return err_set(err, ERR_CONFLICT, "%s is already in use", what);
    if (number == EADDRNOTAVAIL)
        return err_set(err, ERR_INVALID, "%s is not an address of this machine", what);
    return err_set_errno(err, number, "can't listen on %s", what);
}

/* --- TCP ---------------------------------------------------------------------------------- */

static int bind_tcp(int fd, const struct addrinfo *at)
{
    const int on = 1;
    const int off = 0;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return -1;
    /* "::" is every address of the machine, those of IPv4 too. */
    if (at->ai_family == AF_INET6
        && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0)
        return -1;
    return bind(fd, at->ai_addr, at->ai_addrlen) < 0 ? -1 : listen(fd, BACKLOG);
}

static int port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name = {0};
    socklen_t size = sizeof(name);

    if (getsockname(fd, &name.any, &size) < 0)
        return 0;
    return ntohs(name.any.sa_family == AF_INET6 ? name.v6.sin6_port : name.v4.sin_port);
}

static int open_tcp(struct listener *listener, const char *address, int port, struct err *err)
{
    const struct addrinfo hints = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
        .ai_socktype = SOCK_STREAM,
    };
    struct addrinfo *found = NULL;
    scoped_str what = xasprintf(strchr(address, ':') ? "[%s]:%d" : "%s:%d", address, port);
    char service[16];
    scoped_fd fd = -1;
    int failed;

    if (port < 0 || port > 65535)
        return err_set(err, ERR_INVALID, "%d is not a port", port);
    (void)snprintf(service, sizeof(service), "%d", port);
    if (getaddrinfo(address, service, &hints, &found) != 0)
        return err_set(err, ERR_INVALID, "%s is not a numeric address", address);
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    failed = fd < 0 || bind_tcp(fd, found) < 0 ? errno : 0;
    freeaddrinfo(found);
    if (failed)
        return name_failure(failed, what, err);
    listener->port = port_of(fd);
    listener->fd = TAKE_FD(fd);
    return 0;
}

/* --- Unix sockets ------------------------------------------------------------------------- */

/* sun_path holds 107 bytes; through /proc the folder's own length doesn't count. */
static int short_name(const char *path, int *out_folder_fd, struct sockaddr_un *out,
                      struct err *err)
{
    const char *slash = strrchr(path, '/');
    scoped_str folder = slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup(".");
    scoped_fd fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int length;

    if (fd < 0)
        return err_set_errno(err, errno, "%s", folder);
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    length = snprintf(out->sun_path, sizeof(out->sun_path), "/proc/self/fd/%d/%s", fd,
                      slash ? slash + 1 : path);
    if (length < 0 || (size_t)length >= sizeof(out->sun_path))
        return err_set(err, ERR_INVALID, "%s: the name of the socket is too long", path);
    *out_folder_fd = TAKE_FD(fd);
    return 0;
}

/* A socket file that nobody listens on is left over from a program that was killed. */
static bool is_dead_socket(const struct sockaddr_un *name)
{
    scoped_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct stat st;

    return fd >= 0 && lstat(name->sun_path, &st) == 0 && S_ISSOCK(st.st_mode)
           && connect(fd, (const struct sockaddr *)name, sizeof(*name)) < 0
           && errno == ECONNREFUSED;
}

static int bind_unix(int fd, const struct sockaddr_un *name)
{
    const struct sockaddr *any = (const struct sockaddr *)name;

    /* The mode of the unbound socket becomes that of the file: it's never open to others. */
    if (fchmod(fd, 0600) < 0)
        return -1;
    if (bind(fd, any, sizeof(*name)) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return -1;
    if (!is_dead_socket(name)) {
        errno = EADDRINUSE;
        return -1;
    }
    return unlink(name->sun_path) < 0 ? -1 : bind(fd, any, sizeof(*name));
}

static int open_unix(struct listener *listener, const char *path, struct err *err)
{
    scoped_fd folder_fd = -1;
    scoped_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un name;

    if (fd < 0)
        return err_set_errno(err, errno, "can't make a unix socket");
    if (short_name(path, &folder_fd, &name, err) < 0)
        return -1;
    if (bind_unix(fd, &name) < 0 || listen(fd, BACKLOG) < 0
        || lstat(name.sun_path, &listener->made) < 0)
        return name_failure(errno, path, err);
    listener->path = xstrdup(path);
    listener->fd = TAKE_FD(fd);
    return 0;
}

static void remove_socket_file(const struct listener *listener)
{
    struct stat now;

    if (lstat(listener->path, &now) == 0 && now.st_ino == listener->made.st_ino
        && now.st_dev == listener->made.st_dev)
        (void)unlink(listener->path);
}

/* --- Both --------------------------------------------------------------------------------- */

int listener_open(struct listener *listener, const struct httpd_options *options,
                  struct err *err)
{
    *listener = (struct listener){.fd = -1};
    if (options->unix_socket)
        return open_unix(listener, options->unix_socket, err);
    if (!options->address)
        return err_set(err, ERR_INVALID, "neither an address nor a unix socket to listen on");
    return open_tcp(listener, options->address, options->port, err);
}

void listener_close(struct listener *listener)
{
    if (listener->fd < 0)
        return;
    if (listener->path)
        remove_socket_file(listener);
    (void)close(listener->fd);
    listener->fd = -1;
    free(TAKE(listener->path));
}
