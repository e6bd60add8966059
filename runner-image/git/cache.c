/* SPDX-License-Identifier: Apache-2.0 */
#include "git/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "crypto/digest.h"
#include "git/file_copy.h"

/* The URL and the branch can't be told from it, nor lead out of the folder; the caller frees
 * it. */
static char *path_of(const char *folder, const char *url, const char *branch)
{
    scoped_str name = xasprintf("%s\n%s", url, branch);
    uint8_t hash[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];

    sha256(name, strlen(name), hash);
    hex_encode(hash, sizeof(hash), hex);
    return xasprintf("%s/%s.pack", folder, hex);
}

static int check_owner(int fd, const char *path, struct err *err)
{
    struct stat seen;

    if (fstat(fd, &seen) < 0)
        return err_set_errno(err, errno, "%s", path);
    if (!S_ISREG(seen.st_mode) || seen.st_uid != geteuid() || (seen.st_mode & 022)
        || seen.st_nlink != 1)
        return err_set(err, ERR_DENIED, "%s could be written by others", path);
    return 0;
}

static bool is_id(const char *text)
{
    size_t length = strspn(text, "0123456789abcdef");

    return !text[length] && (length == 40 || length == 64);
}

/* The line at the beginning. */
static int read_commit(int fd, const char *path, char out[CACHE_COMMIT_SIZE], struct err *err)
{
    char line[CACHE_COMMIT_SIZE + 1] = "";
    ssize_t size = pread(fd, line, CACHE_COMMIT_SIZE, 0);
    char *end = size > 0 ? memchr(line, '\n', (size_t)size) : NULL;

    if (end)
        *end = '\0';
    if (!end || !is_id(line) || lseek(fd, end + 1 - line, SEEK_SET) < 0)
        return err_set(err, ERR_INVALID, "%s is no entry of the cache", path);
    memcpy(out, line, strlen(line) + 1);
    return 0;
}

int cache_open(const char *folder, const char *url, const char *branch,
               char out[CACHE_COMMIT_SIZE], struct err *err)
{
    scoped_str path = path_of(folder, url, branch);
    scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0)
        return err_set_errno(err, errno, "%s", path);
    if (check_owner(fd, path, err) < 0 || read_commit(fd, path, out, err) < 0)
        return -1;
    (void)futimens(fd, NULL);
    return TAKE_FD(fd);
}

static int write_entry(int to, const char *commit, const char *path, struct err *err)
{
    scoped_fd from = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat seen;

    if (from < 0 || fstat(from, &seen) < 0)
        return err_set_errno(err, errno, "%s", path);
    if (seen.st_size > CACHE_PACK_MAX_BYTES)
        return err_set(err, ERR_TOO_LARGE, "it is larger than the cache takes");
    if (dprintf(to, "%s\n", commit) < 0)
        return err_set_errno(err, errno, "writing an entry of the cache");
    return file_copy(from, to, err);
}

int cache_keep(const char *folder, const char *url, const char *branch, const char *commit,
               const char *path, struct err *err)
{
    scoped_str entry = path_of(folder, url, branch);
    scoped_str beside = xasprintf("%s/.new-XXXXXX", folder);
    scoped_fd to = mkostemp(beside, O_CLOEXEC);

    if (to < 0)
        return err_set_errno(err, errno, "a file in %s", folder);
    if (write_entry(to, commit, path, err) == 0) {
        if (rename(beside, entry) == 0)
            return 0;
        err_set_errno(err, errno, "%s", entry);
    }
    (void)unlink(beside);
    return -1;
}
