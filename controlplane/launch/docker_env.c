/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_env.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/secret.h"
#include "launch/job_env.h"

void docker_env_done(struct docker_env *env)
{
    for (size_t i = 0; i < env->count; i++) {
        secret_wipe(env->values[i], strlen(env->values[i]));
        free(env->values[i]);
    }
    free(env->values);
    *env = (struct docker_env){0};
}

static bool has(const struct docker_env *env, const char *pair)
{
    size_t length = strcspn(pair, "=") + 1;

    for (size_t i = 0; i < env->count; i++)
        if (strncmp(env->values[i], pair, length) == 0)
            return true;
    return false;
}

void docker_env_add(struct docker_env *env, const char *pair)
{
    if (has(env, pair))
        return;
    env->values = xrealloc(env->values, (env->count + 1) * sizeof(*env->values));
    env->values[env->count++] = xstrdup(pair);
}

static void add_ours(struct docker_env *env, const char *name)
{
    const char *value = getenv(name);
    char *pair;

    if (!value || !*value)
        return;
    pair = xasprintf("%s=%s", name, value);
    docker_env_add(env, pair);
    secret_wipe(pair, strlen(pair));
    free(pair);
}

void docker_env_add_passed(struct docker_env *env)
{
    for (const char *const *name = job_env_passed(); *name; name++)
        add_ours(env, *name);
}

cJSON *docker_env_json(const struct docker_env *env)
{
    cJSON *array = cJSON_CreateArray();

    for (size_t i = 0; i < env->count; i++)
        (void)cJSON_AddItemToArray(array, jstr(env->values[i]));
    return array;
}

/* --- The file
 * ----------------------------------------------------------------------------------
 */

static bool is_name(const char *text, size_t length)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char digits[] = "0123456789";

    for (size_t i = 0; i < length; i++)
        if (!strchr(letters, text[i]) && (i == 0 || !strchr(digits, text[i])))
            return false;
    return length > 0;
}

static int add_line(struct docker_env *env, const char *line)
{
    size_t name = strcspn(line, "=");

    if (!*line || *line == '#')
        return 0;
    if (!is_name(line, name))
        return -1;
    if (line[name])
        docker_env_add(env, line);
    else
        add_ours(env, line);
    return 0;
}

static int add_lines(struct docker_env *env, char *text, const char *path, struct err *err)
{
    char *rest = text;
    int number = 0;

    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        number++;
        line[strcspn(line, "\r")] = '\0';
        if (add_line(env, line + strspn(line, " \t")) < 0)
            return err_set(err, ERR_INVALID, "%s:%d: expected NAME=value or NAME", path,
                           number);
    }
    return 0;
}

int docker_env_load(struct docker_env *out, const char *path, struct err *err)
{
    scoped_buf text = {0};
    int failed;

    *out = (struct docker_env){0};
    if (!path)
        return 0;
    if (buf_read_file(&text, path, DOCKER_ENV_FILE_MAX, err) < 0)
        return -1;
    if (!text.data)
        return 0;
    failed = memchr(text.data, '\0', text.size)
                 ? err_set(err, ERR_INVALID, "%s: expected text", path)
                 : add_lines(out, text.data, path, err);
    secret_wipe(text.data, text.size);
    if (failed)
        docker_env_done(out);
    return failed;
}
