/* SPDX-License-Identifier: Apache-2.0 */
#include "git/credential.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "crypto/digest.h"

#define TOKEN_MAX_BYTES 4096
#define HOST_MAX_BYTES 255

/* What GitHub wants as the user name beside an installation token. */
#define USER_NAME "x-access-token"

int credential_open(const struct secret *token, struct err *err)
{
    scoped_fd fd = memfd_create("credential", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    const char *text = secret_reveal(token);
    size_t size = strlen(text);

    if (fd < 0)
        return err_set_errno(err, errno, "memfd for the git token");
    if (write(fd, text, size) != (ssize_t)size)
        return err_set_errno(err, errno, "writing the git token to its memfd");
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return err_set_errno(err, errno, "sealing the git token's memfd");
    return TAKE_FD(fd);
}

struct secret *credential_in_header(const struct secret *token)
{
    scoped_str pair = xasprintf(USER_NAME ":%s", secret_reveal(token));
    scoped_str text = base64_encode(pair, strlen(pair));
    struct secret *shown = secret_new(text);

    secret_wipe(pair, strlen(pair));
    secret_wipe(text, strlen(text));
    return shown;
}

bool credential_host_valid(const char *host)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789.-_:[]";
    size_t length = strlen(host);

    return length && length <= HOST_MAX_BYTES && strspn(host, allowed) == length;
}

char *credential_helper_command(const char *program, const char *protocol, const char *host,
                                int fd)
{
    scoped_buf command = {0};

    buf_append_str(&command, "!'");
    for (const char *c = program; *c; c++) {
        if (*c == '\'')
            buf_append_str(&command, "'\\''");
        else
            buf_append(&command, c, 1);
    }
    buf_printf(&command, "' git-credential '%s' '%s' %d", protocol, host, fd);
    return buf_take(&command);
}

/* Reads "name=value" lines up to a blank one: is it about our protocol and host? */
static bool asks_for(FILE *in, const char *protocol, const char *host)
{
    scoped_str line = NULL; /* whole, however long: its end must not pass for a line */
    size_t room = 0;
    bool right_protocol = false;
    bool right_host = false;

    while (getline(&line, &room, in) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if (!line[0])
            break;
        if (strncmp(line, "protocol=", 9) == 0)
            right_protocol = strcmp(line + 9, protocol) == 0;
        else if (strncmp(line, "host=", 5) == 0)
            right_host = strcmp(line + 5, host) == 0;
    }
    return right_protocol && right_host;
}

int credential_helper_main(int argc, char *const *argv, FILE *in, FILE *out)
{
    char token[TOKEN_MAX_BYTES + 1];
    ssize_t size;

    if (argc != 4)
        return 2;
    if (strcmp(argv[3], "get") != 0 || !asks_for(in, argv[0], argv[1]))
        return 0;
    /* pread: git asks again and again, and all its children share the descriptor's offset. */
    size = pread((int)strtol(argv[2], NULL, 10), token, TOKEN_MAX_BYTES, 0);
    if (size <= 0)
        return 1;
    token[size] = '\0';
    (void)fprintf(out, "username=" USER_NAME "\npassword=%s\n", token);
    (void)fflush(out);
    secret_wipe(token, sizeof(token));
    return 0;
}
