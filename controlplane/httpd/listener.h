/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_LISTENER_H
#define HTTPD_LISTENER_H
#include "httpd/httpd.h"

#include <sys/stat.h>

/*
 * The listening socket: TCP on a numeric address, or a unix socket that only its owner may
 * open and whose path may be longer than sockaddr_un holds. Embedded in struct httpd.
 */
struct listener {
    int fd;
    int port;         /* 0 for a unix socket */
    char *path;       /* of the unix socket; NULL for TCP */
    struct stat made; /* the socket file, so that we remove no other one */
};

int listener_open(struct listener *listener, const struct httpd_options *options,
                  struct err *err) CHECKED;
void listener_close(struct listener *listener);
#endif
