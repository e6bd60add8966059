/* SPDX-License-Identifier: Apache-2.0 */
/* kubeconfig_read: what it takes says where the server is and who we are, in parts that a call
 * can be made with. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fuzz.h"
#include "kubernetes/kubeconfig.h"

/* A file in memory; its path. */
static const char *file_of(const uint8_t *data, size_t size)
{
    static char path[32];
    static int fd = -1;

    if (fd < 0) {
        fd = memfd_create("kubeconfig", MFD_CLOEXEC);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    return path;
}

static bool is_url(const char *text)
{
    return strncmp(text, "https://", 8) == 0 || strncmp(text, "http://", 7) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    scoped(access) access = NULL;

    json_setup();
    access = kubeconfig_read(file_of(data, size), false, NULL, &err);
    if (!access && (err.kind == ERR_NONE || !err.text[0]))
        abort();
    if (!access)
        return 0;
    if (!access->server || !is_url(access->server) || !access->name_space || !access->source)
        abort();
    if (access->plugin && (access->token || access->token_file))
        abort();
    if (!(access->client_cert_pem || access->client_cert_file)
        != !(access->client_key_pem || access->client_key_file))
        abort();
    return 0;
}
