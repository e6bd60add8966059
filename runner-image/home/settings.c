/* SPDX-License-Identifier: Apache-2.0 */
#include "home/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/id.h"
#include "home/token_secret.h"

#define TOKEN_MAX_BYTES 1024
#define URL_MAX_BYTES 2048
#define ATTEMPT_MAX 1000000

#define DEFAULT_TERMINATION_LOG "/dev/termination-log"

static const char *env_or(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value && value[0] ? value : otherwise;
}

/* N of "/proc/self/fd/N" or "/dev/fd/N"; -1 for any other path. */
static int inherited_fd(const char *path)
{
    static const char *const prefixes[] = {"/proc/self/fd/", "/dev/fd/"};

    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
        size_t length = strlen(prefixes[i]);
        char *end = NULL;
        long fd;

        if (strncmp(path, prefixes[i], length) != 0 || !path[length])
            continue;
        fd = strtol(path + length, &end, 10);
        if (!*end && fd > 2 && fd < 1 << 20)
            return (int)fd;
    }
    return -1;
}

static struct secret *token_from_text(char *text, struct err *err)
{
    size_t length = strcspn(text, "\r\n");
    struct secret *token;

    text[length] = '\0';
    for (size_t i = 0; i < length; i++) {
        if (text[i] <= ' ' || text[i] > '~')
            length = 0;
    }
    token = length && length <= TOKEN_MAX_BYTES ? secret_new(text) : NULL;
    if (!token)
        err_set(err, ERR_INVALID, "the task token isn't %d or fewer visible characters",
                TOKEN_MAX_BYTES);
    return token;
}

static struct secret *token_from_file(const char *path, struct err *err)
{
    int inherited = inherited_fd(path);
    scoped_fd in = inherited >= 0 ? inherited : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    char text[TOKEN_MAX_BYTES + 2] = "";
    size_t size = 0;
    ssize_t got = 0;
    struct secret *token;

    if (in < 0) {
        err_set_errno(err, errno, "DISPATCH_TASK_TOKEN_FILE: %s", path);
        return NULL;
    }
    while (size < sizeof(text) - 1) {
        got = read(in, text + size, sizeof(text) - 1 - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        size += (size_t)got;
    }
    if (got < 0) {
        err_set_errno(err, errno, "DISPATCH_TASK_TOKEN_FILE: reading %s", path);
        return NULL;
    }
    token = token_from_text(text, err);
    secret_wipe(text, sizeof(text));
    return token;
}

static struct secret *token_from_secret(const char *version, struct err *err)
{
    scoped(secret) found =
        token_secret_fetch(version, env_or("DISPATCH_SECRETMANAGER_URL", NULL),
                           env_or("DISPATCH_CA_FILE", NULL), err);
    scoped_str text = found ? xstrdup(secret_reveal(found)) : NULL;
    size_t size = text ? strlen(text) : 0;
    struct secret *token = text ? token_from_text(text, err) : NULL;

    if (text)
        secret_wipe(text, size);
    if (!token)
        (void)err_wrap(err, "DISPATCH_TASK_TOKEN_SECRET");
    return token;
}

static struct secret *take_token(struct err *err)
{
    char *in_env = getenv("DISPATCH_TASK_TOKEN");
    const char *path = env_or("DISPATCH_TASK_TOKEN_FILE", NULL);
    const char *stored = env_or("DISPATCH_TASK_TOKEN_SECRET", NULL);
    struct secret *token;
    size_t size;

    if (!in_env && path) {
        token = token_from_file(path, err);
        if (token && strcmp(env_or("DISPATCH_TASK_TOKEN_ONCE", ""), "1") == 0
            && unlink(path) < 0) {
            err_set_errno(err, errno, "DISPATCH_TASK_TOKEN_FILE: taking %s away", path);
            secret_free(TAKE(token));
        }
        return token;
    }
    if (!in_env && stored)
        return token_from_secret(stored, err);
    if (!in_env) {
        err_set(err, ERR_INVALID, "DISPATCH_TASK_TOKEN or DISPATCH_TASK_TOKEN_FILE is missing");
        return NULL;
    }
    size = strlen(in_env);
    token = token_from_text(in_env, err);
    secret_wipe(in_env, size);
    (void)unsetenv("DISPATCH_TASK_TOKEN");
    return token;
}

static int load_home(struct settings *out, struct err *err)
{
    const char *url = env_or("DISPATCH_URL", "");
    size_t length = strlen(url);

    if (!length)
        return err_set(err, ERR_INVALID, "DISPATCH_URL is missing");
    if (length > URL_MAX_BYTES
        || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0))
        return err_set(err, ERR_INVALID, "DISPATCH_URL isn't an http:// or https:// URL");
    while (length && url[length - 1] == '/')
        length--;
    out->home_url = xstrndup(url, length);
    return 0;
}

static int load_run(struct settings *out, struct err *err)
{
    const char *run_id = env_or("DISPATCH_RUN_ID", "");
    const char *attempt = env_or("DISPATCH_ATTEMPT", "");
    char *end = NULL;
    long number;
    struct id id;

    if (!id_parse(run_id, &id))
        return err_set(err, ERR_INVALID, "DISPATCH_RUN_ID isn't a run's id");
    errno = 0;
    number = strtol(attempt, &end, 10);
    if (!attempt[0] || *end || errno || number < 1 || number > ATTEMPT_MAX)
        return err_set(err, ERR_INVALID, "DISPATCH_ATTEMPT isn't a number from 1");
    out->run_id = xstrdup(run_id);
    out->attempt = (int)number;
    return 0;
}

static int load_agent(struct settings *out, struct err *err)
{
    const char *uid = env_or("DISPATCH_AGENT_UID", NULL);
    char *end;
    unsigned long number;

    out->sandbox_readable = xstrdup(env_or("DISPATCH_SANDBOX_READABLE", NULL));
    if (!uid)
        return 0;
    if (strcmp(uid, "same") == 0) {
        out->agent_uid = (uid_t)-1;
        return 0;
    }
    number = strtoul(uid, &end, 10);
    if (*uid < '1' || *uid > '9' || *end || number >= UINT32_MAX)
        return err_set(err, ERR_INVALID,
                       "DISPATCH_AGENT_UID: expected a user's number, or same");
    out->agent_uid = (uid_t)number;
    return 0;
}

int settings_load(struct settings *out, struct err *err)
{
    const char *log = env_or("DISPATCH_TERMINATION_LOG", NULL);
    bool keys_taken;

    *out = (struct settings){0};
    /* First: secrets leave the environment whatever follows. */
    keys_taken = model_keys_take(&out->model_keys, err) == 0;
    out->task_token = take_token(err);
    if (!out->task_token || !keys_taken || load_home(out, err) < 0 || load_run(out, err) < 0
        || load_agent(out, err) < 0)
        return -1;
    if (!log && access(DEFAULT_TERMINATION_LOG, W_OK) == 0)
        log = DEFAULT_TERMINATION_LOG;
    out->termination_log = xstrdup(log);
    out->work_dir = xstrdup(env_or("DISPATCH_WORK_DIR", env_or("TMPDIR", "/tmp")));
    out->ca_file = xstrdup(env_or("DISPATCH_CA_FILE", NULL));
    out->git_cache = xstrdup(env_or("DISPATCH_GIT_CACHE", NULL));
    out->model_prices = xstrdup(env_or("DISPATCH_MODEL_PRICES", NULL));
    return 0;
}

void settings_done(struct settings *settings)
{
    secret_free(settings->task_token);
    free(settings->home_url);
    free(settings->run_id);
    free(settings->work_dir);
    free(settings->termination_log);
    free(settings->ca_file);
    free(settings->git_cache);
    free(settings->sandbox_readable);
    free(settings->model_prices);
    model_keys_done(&settings->model_keys);
    *settings = (struct settings){0};
}
