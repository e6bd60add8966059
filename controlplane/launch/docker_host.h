/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_DOCKER_HOST_H
#define LAUNCH_DOCKER_HOST_H
#include "config/config.h"

/*
 * Where an engine is and who we are to it, as Docker's own client understands it:
 * unix:///run/docker.sock, tcp://HOST[:PORT] (with certificates: HTTPS). `docker.host` goes
 * before $DOCKER_HOST; the certificates of the settings before those that $DOCKER_TLS_VERIFY
 * and $DOCKER_CERT_PATH ask for.
 */
struct docker_host {
    char *shown;       /* as it was written, for people */
    char *url;         /* http:// or https://, without a slash at the end */
    char *unix_socket; /* NULL: TCP */
    char *ca_file;     /* NULL: the system's */
    char *cert_pem;    /* NULL: we show none */
    struct secret *key_pem;
};

#define scoped_docker_host __attribute__((cleanup(docker_host_done))) struct docker_host

/* ERR_INVALID, or that of a certificate's file that can't be read. docker_host_done either way.
 */
int docker_host_of(const struct config_docker *settings, struct docker_host *out,
                   struct err *err) CHECKED;
void docker_host_done(struct docker_host *host);

/* Plain HTTP to another machine: whoever is on the way is root there. */
bool docker_host_is_exposed(const struct docker_host *host);
#endif
