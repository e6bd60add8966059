/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_DOCKER_AUTH_H
#define LAUNCH_DOCKER_AUTH_H
#include "base/err.h"
#include "base/secret.h"

/*
 * Credentials for an image's registry out of a file as `docker login` and `podman login` write
 * it: {"auths": {"registry.example:5000": {"auth": base64 of "name:password"}}}, or with
 * `username` and `password`, `identitytoken` or `registrytoken` in there. The entry with the
 * longest part of the image's name counts, as with Podman; Docker Hub has three names. Programs
 * that the file names for it (credHelpers, credsStore) aren't started: an image whose
 * credentials only such a program has is refused.
 */
#define DOCKER_AUTH_FILE_MAX 262144

/* What the engine wants in X-Registry-Auth for a pull of this repository ("a/b/c", without the
 * tag); NULL where the file has nothing for it. ERR_INVALID: "FILE: why", which quotes nothing
 * out of it; ERR_NOT_FOUND, ERR_DENIED; ERR_UNSUPPORTED. */
int docker_auth_find(const char *path, const char *repository, struct secret **out,
                     struct err *err) CHECKED;
#endif
