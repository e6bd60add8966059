/* SPDX-License-Identifier: Apache-2.0 */
#include "store/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "crypto/seal.h"

#define KEY_TEXT_MAX 128

struct vault {
    uint8_t key[SEAL_KEY_SIZE];
};

/* base64 or base64url, padded or not, with the line's end that files have. */
static bool decode_key(const char *text, uint8_t out[SEAL_KEY_SIZE])
{
    char url[KEY_TEXT_MAX];
    size_t length = strcspn(text, "=\r\n");
    uint8_t *bytes;
    size_t size = 0;
    bool good;

    if (length >= sizeof(url) || text[length + strspn(text + length, "=\r\n")])
        return false;
    for (size_t i = 0; i < length; i++)
        url[i] = (char)(text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
    url[length] = '\0';
    bytes = base64url_decode(url, &size);
    secret_wipe(url, sizeof(url));
    good = bytes && size == SEAL_KEY_SIZE;
    if (good)
        memcpy(out, bytes, SEAL_KEY_SIZE);
    if (bytes)
        secret_wipe(bytes, size);
    free(bytes);
    return good;
}

/* --- The file ----------------------------------------------------------------------------- */

static int write_key(int fd, const uint8_t key[SEAL_KEY_SIZE])
{
    scoped_str text = base64_encode(key, SEAL_KEY_SIZE);
    size_t length = strlen(text);
    bool written;

    text[length] = '\n'; /* in place of the NUL */
    written = write(fd, text, length + 1) == (ssize_t)(length + 1) && fsync(fd) == 0;
    secret_wipe(text, length + 1);
    return written ? 0 : -1;
}

/* Its name in the directory has to survive a crash as well: what is sealed under it does. */
static int sync_directory(const char *path)
{
    scoped_str copy = xstrdup(path);
    scoped_fd fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 && fsync(fd) == 0 ? 0 : -1;
}

/* Under another name first: a key that is there is whole. */
static int make_file(const char *path, uint8_t out[SEAL_KEY_SIZE], struct err *err)
{
    scoped_str fresh = xasprintf("%s.new", path);
    scoped_fd fd = -1;

    random_bytes(out, SEAL_KEY_SIZE);
    (void)unlink(fresh);
    fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || write_key(fd, out) < 0 || rename(fresh, path) < 0
        || sync_directory(path) < 0) {
        (void)err_set_errno(err, errno, "making %s", path);
        (void)unlink(fresh);
        return -1;
    }
    return 0;
}

/* 1: there is none yet. */
static int read_file(const char *path, uint8_t out[SEAL_KEY_SIZE], struct err *err)
{
    scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char text[KEY_TEXT_MAX];
    ssize_t got;
    bool good;

    if (fd < 0)
        return errno == ENOENT ? 1 : err_set_errno(err, errno, "%s", path);
    /* A volume that was given to a group may have opened it: nobody else has business here. */
    (void)fchmod(fd, 0600);
    got = read(fd, text, sizeof(text) - 1);
    text[got > 0 ? got : 0] = '\0';
    good = decode_key(text, out);
    secret_wipe(text, sizeof(text));
    return good ? 0
                : err_set(err, ERR_INVALID, "%s isn't a key: 32 bytes in base64 were expected",
                          path);
}

static int key_beside(const char *database, uint8_t out[SEAL_KEY_SIZE], struct err *err)
{
    scoped_str real = realpath(database, NULL);
    bool is_out = !real && errno == ENOMEM;
    scoped_str path = xasprintf("%s.key", real ? real : database);
    int found;

    if (is_out) /* a link isn't to be taken for the file: it would get a key of its own */
        out_of_memory();
    if (strcmp(database, ":memory:") == 0) {
        random_bytes(out, SEAL_KEY_SIZE);
        return 0;
    }
    found = read_file(path, out, err);
    return found == 1 ? make_file(path, out, err) : found;
}

/* --- The vault ---------------------------------------------------------------------------- */

struct vault *vault_open(const char *database, const struct secret *key, struct err *err)
{
    scoped(vault) vault = xcalloc(1, sizeof(*vault));

    if (key && !decode_key(secret_reveal(key), vault->key)) {
        (void)err_set(err, ERR_INVALID,
                      "DISPATCH_ENCRYPTION_KEY isn't a key: 32 bytes in base64 were expected");
        return NULL;
    }
    if (!key && key_beside(database, vault->key, err) < 0)
        return NULL;
    return TAKE(vault);
}

void vault_free(struct vault *vault)
{
    if (!vault)
        return;
    secret_wipe(vault->key, sizeof(vault->key));
    free(vault);
}

void vault_derive(const struct vault *vault, const char *purpose, uint8_t out[VAULT_KEY_SIZE])
{
    hmac_sha256(vault->key, sizeof(vault->key), purpose, strlen(purpose), out);
}

uint8_t *vault_seal(const struct vault *vault, const char *context, const struct secret *value,
                    size_t *out_size)
{
    return seal(vault->key, context, value, out_size);
}

struct secret *vault_unseal(const struct vault *vault, const char *context,
                            const uint8_t *sealed, size_t size, struct err *err)
{
    return unseal(vault->key, context, sealed, size, err);
}
