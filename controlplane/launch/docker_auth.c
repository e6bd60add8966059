/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_auth.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "crypto/digest.h"
#include "json/json.h"

#define HUB "docker.io"
#define HUB_ADDRESS "https://index.docker.io/v1/" /* what Docker itself calls it */

/* --- Names ---------------------------------------------------------------------------------
 */

/* Docker Hub's names are one. */
static char *on_hub(const char *name)
{
    static const char *const hubs[] = {"index." HUB, "registry-1." HUB};
    size_t first = strcspn(name, "/");

    for (size_t i = 0; i < ARRAY_SIZE(hubs); i++)
        if (strlen(hubs[i]) == first && strncmp(name, hubs[i], first) == 0)
            return xasprintf(HUB "%s", name + first);
    return xstrdup(name);
}

/* "alpine" and "team/app" are Docker Hub's; a first part with a dot or a port is a registry. */
static char *full_name(const char *repository)
{
    size_t first = strcspn(repository, "/");
    bool names_registry = repository[first]
                          && (strcspn(repository, ".:") < first
                              || strncmp(repository, "localhost/", first + 1) == 0);

    return names_registry ? on_hub(repository) : xasprintf(HUB "/%s", repository);
}

/* A key of the file the same way: "https://index.docker.io/v1/" is "docker.io". */
static char *name_of_key(const char *key)
{
    const char *scheme = strstr(key, "://");
    scoped_str bare = scheme ? xstrndup(scheme + 3, strcspn(scheme + 3, "/")) : xstrdup(key);

    for (size_t length = strlen(bare); length && bare[length - 1] == '/'; length--)
        bare[length - 1] = '\0';
    return strchr(bare, '/') ? full_name(bare) : on_hub(bare);
}

/* Does the name begin with all of these parts? */
static bool is_within(const char *name, const char *parts)
{
    size_t length = strlen(parts);

    return length && strncmp(name, parts, length) == 0
           && (name[length] == '/' || name[length] == '\0');
}

/* --- Entries -------------------------------------------------------------------------------
 */

/* The member whose key is the longest part of the name, or NULL. */
static const cJSON *best(const cJSON *object, const char *name)
{
    const cJSON *entry;
    const cJSON *found = NULL;
    size_t longest = 0;

    cJSON_ArrayForEach(entry, object)
    {
        scoped_str key = entry->string ? name_of_key(entry->string) : xstrdup("");

        if (strlen(key) > longest && is_within(name, key)) {
            longest = strlen(key);
            found = entry;
        }
    }
    return found;
}

/* base64, padded or not, as "name:password". NULL when it isn't. */
static char *unpack(const char *auth)
{
    scoped_str text = xstrdup(auth);
    size_t length = strcspn(text, "=");
    size_t size = 0;
    char *pair;

    text[length] = '\0';
    for (char *c = text; *c; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    pair = base64url_decode(text, &size);
    secret_wipe(text, length);
    if (pair && (!strchr(pair, ':') || strlen(pair) != size)) {
        secret_wipe(pair, size);
        free(TAKE(pair));
    }
    return pair;
}

/* Spaces make its base64 one without padding: engines are of two minds about it. */
static struct secret *pack(const cJSON *header)
{
    scoped_str json = json_text(header);
    size_t size = strlen(json);
    size_t padding = (3 - size % 3) % 3;
    scoped_str even = xasprintf("%s%.*s", json, (int)padding, "  ");
    scoped_str text = base64url_encode(even, size + padding);
    struct secret *packed = secret_new(text);

    secret_wipe(json, size);
    secret_wipe(even, strlen(even));
    secret_wipe(text, strlen(text));
    return packed;
}

static void wipe(const cJSON *object)
{
    const cJSON *member;

    cJSON_ArrayForEach(member, object)
    {
        if (cJSON_IsString(member))
            secret_wipe(member->valuestring, strlen(member->valuestring));
        if (member->child)
            wipe(member);
    }
}

static struct secret *header_of(const char *address, const char *name, const char *password,
                                const cJSON *entry)
{
    cJSON *header = jobj({"username", jstr(name)}, {"password", jstr(password)},
                         {"identitytoken", jstr(json_get_str(entry, "identitytoken"))},
                         {"registrytoken", jstr(json_get_str(entry, "registrytoken"))},
                         {"serveraddress", jstr(address)});
    struct secret *packed = pack(header);

    wipe(header);
    cJSON_Delete(header);
    return packed;
}

static bool says(const cJSON *entry, const char *key)
{
    const char *text = json_get_str(entry, key);

    return text && *text;
}

static int read_entry(const char *path, const cJSON *entry, const char *address,
                      struct secret **out, struct err *err)
{
    scoped_str pair = says(entry, "auth") ? unpack(json_get_str(entry, "auth")) : NULL;
    size_t size = pair ? strlen(pair) : 0;
    char *colon = pair ? strchr(pair, ':') : NULL;

    if (says(entry, "auth") && !pair)
        return err_set(err, ERR_INVALID,
                       "%s: auth of %.100s: expected base64 of a name, a "
                       "colon and a password",
                       path, address);
    if (colon)
        *colon = '\0';
    /* Beside a token, what is there as a password is none. */
    if (says(entry, "identitytoken"))
        *out = header_of(address, NULL, NULL, entry);
    else if (colon)
        *out = header_of(address, pair, colon + 1, entry);
    else
        *out = header_of(address, json_get_str(entry, "username"),
                         json_get_str(entry, "password"), entry);
    if (pair)
        secret_wipe(pair, size);
    return 0;
}

static bool is_empty(const cJSON *entry)
{
    return !says(entry, "auth") && !says(entry, "identitytoken")
           && !says(entry, "registrytoken") && !says(entry, "username");
}

static int find_in(const char *path, const cJSON *file, const char *repository,
                   struct secret **out, struct err *err)
{
    scoped_str name = full_name(repository);
    const cJSON *entry = best(json_get(file, "auths"), name);
    scoped_str registry = xstrndup(name, strcspn(name, "/"));
    const char *address = strcmp(registry, HUB) == 0 ? HUB_ADDRESS : registry;

    if (entry && !is_empty(entry))
        return read_entry(path, entry, address, out, err);
    if (best(json_get(file, "credHelpers"), name) || (entry && says(file, "credsStore")))
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: credentials for %.100s are with a program (credHelpers, "
                       "credsStore), which dispatchd doesn't start",
                       path, registry);
    return 0;
}

int docker_auth_find(const char *path, const char *repository, struct secret **out,
                     struct err *err)
{
    scoped_buf text = {0};
    scoped_json file = NULL;
    struct err why = {0};
    int result;

    *out = NULL;
    if (!path)
        return 0;
    if (buf_read_file(&text, path, DOCKER_AUTH_FILE_MAX, err) < 0)
        return -1;
    file = json_parse(text.data ? text.data : "", text.size, &why);
    if (text.data)
        secret_wipe(text.data, text.size);
    if (!file || !cJSON_IsObject(file))
        return err_set(err, ERR_INVALID, "%s: expected a JSON object with `auths`", path);
    result = find_in(path, file, repository, out, err);
    wipe(file);
    return result;
}
