/* SPDX-License-Identifier: Apache-2.0 */
#include "command/reach.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "kubernetes/access.h"
#include "launch/docker_host.h"
#include "store/lock.h"

/*
 * What libraries open long after the start: name resolution with its modules, certificates,
 * time zones, what the machine is like. /proc is guarded by ptrace's rules, the rest by its
 * owners.
 */
static const char *const system_readable[] = {
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local",
    "/usr/share",
    "/gnu/store",
    "/nix/store",
    "/var/lib/ca-certificates",
    "/var/lib/sss",
    "/run/nscd",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/run/systemd/resolve",
    "/proc",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/dev/random",
    "/dev/urandom",
};

/* Variables that name files or folders for our libraries. */
static const char *const library_variables[] = {
    "SSL_CERT_FILE", "SSL_CERT_DIR", "OPENSSL_CONF", "OPENSSL_MODULES",
    "RESOLV_CONF",   "HOSTALIASES",  "TZDIR",
};

/* What the store keeps beside its database. */
static const char *const store_suffixes[] = {"", "-wal", "-shm", ".key", ".lock"};

/* --- Lists of paths ----------------------------------------------------------------------- */

/* Takes `path`. */
static void add(struct reach_paths *to, char *path)
{
    to->all = xrealloc(to->all, (to->count + 2) * sizeof(*to->all));
    to->all[to->count++] = path;
    to->all[to->count] = NULL;
}

static void paths_done(struct reach_paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        free(paths->all[i]);
    free(paths->all);
}

void reach_done(struct reach *reach)
{
    paths_done(&reach->writable);
    paths_done(&reach->readable);
    paths_done(&reach->named);
    paths_done(&reach->socket);
    free(reach->temporary);
    *reach = (struct reach){0};
}

/* The folder of a path, resolved where it is there. "/": no folder that one could give away. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    scoped_str folder = xstrndup(path, slash && slash > path ? (size_t)(slash - path) : 1);
    char *real = realpath(folder, NULL);

    return real ? real : TAKE(folder);
}

static void add_folder_of(struct reach_paths *to, const char *path)
{
    scoped_str folder = folder_of(path);

    add(to, strcmp(folder, "/") == 0 ? xstrdup(path) : TAKE(folder));
}

/* With the folder of what a link leads to. NULL: there is no such file. */
static void add_file(struct reach *reach, const char *path)
{
    scoped_str real = path ? realpath(path, NULL) : NULL;

    if (!path || path[0] != '/')
        return;
    add(&reach->named, xstrdup(path));
    add_folder_of(&reach->readable, path);
    if (real)
        add_folder_of(&reach->readable, real);
}

/* --- Launchers ---------------------------------------------------------------------------- */

static bool lists(const struct config_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->texts[i], name) == 0)
            return true;
    return false;
}

static bool uses(const struct config *config, const char *launcher)
{
    for (size_t i = 0; i < config->repositories.count; i++) {
        const char *own = config->repositories.all[i].launcher;

        if (own && strcmp(own, launcher) == 0)
            return true;
    }
    return strcmp(config->launcher, launcher) == 0
           || lists(&config->launcher_fallback, launcher)
           || lists(&config->launchers, launcher);
}

/* Where kubectl looks, too. */
static void add_kubeconfigs(struct reach *reach)
{
    const char *paths = getenv("KUBECONFIG");
    const char *home = getenv("HOME");
    scoped_str at_home = home ? xasprintf("%s/.kube/config", home) : NULL;

    for (const char *at = paths ? paths : ""; *at; at += *at == ':') {
        size_t length = strcspn(at, ":");
        scoped_str path = xstrndup(at, length);

        add_file(reach, path);
        at += length;
    }
    if (at_home && access(at_home, F_OK) == 0)
        add_file(reach, at_home);
}

static void add_cluster(struct reach *reach, const struct config_kubernetes *settings)
{
    scoped(access) access = NULL;
    struct err ignored = {0};

    add_file(reach, settings->kubeconfig);
    add_file(reach, settings->job_template);
    if (!settings->kubeconfig)
        add_kubeconfigs(reach);
    access = access_find(settings->kubeconfig, settings->context, NULL, &ignored);
    if (!access)
        return;
    add_file(reach, access->ca_file);
    add_file(reach, access->client_cert_file);
    add_file(reach, access->client_key_file);
    add_file(reach, access->token_file);
    if (access->plugin && !reach->starts)
        reach->starts = "the kubeconfig's exec plugin";
}

static void add_engine(struct reach *reach, const struct config_docker *settings)
{
    const char *certificates = getenv("DOCKER_CERT_PATH");
    scoped_docker_host host = {0};
    struct err ignored = {0};

    add_file(reach, settings->ca_file);
    add_file(reach, settings->cert_file);
    add_file(reach, settings->key_file);
    add_file(reach, settings->env_file);
    add_file(reach, settings->auth_file);
    if (certificates && *certificates == '/')
        add(&reach->readable, xstrdup(certificates));
    if (docker_host_of(settings, &host, &ignored) == 0 && host.unix_socket)
        add(&reach->socket, xstrdup(host.unix_socket));
}

static void add_launchers(struct reach *reach, const struct config *config)
{
    if (uses(config, "process"))
        reach->starts = "launcher process";
    if (uses(config, "kubernetes"))
        add_cluster(reach, &config->kubernetes);
    if (uses(config, "docker"))
        add_engine(reach, &config->docker);
    if (uses(config, "cloudrun"))
        add_file(reach, config->cloudrun.credentials_file);
}

/* --- Together ----------------------------------------------------------------------------- */

static void add_database(struct reach *reach, const char *database)
{
    scoped_str real = realpath(database, NULL);
    const char *own = getenv("SQLITE_TMPDIR");

    add_folder_of(&reach->writable, database);
    if (real)
        add_folder_of(&reach->writable, real);
    for (size_t i = 0; i < ARRAY_SIZE(store_suffixes); i++)
        add(&reach->named, xasprintf("%s%s", real ? real : database, store_suffixes[i]));
    reach->temporary = own && *own == '/' ? xstrdup(own) : folder_of(real ? real : database);
    add(&reach->writable, xstrdup(reach->temporary));
}

static void add_system(struct reach *reach)
{
    for (size_t i = 0; i < ARRAY_SIZE(system_readable); i++)
        add(&reach->readable, xstrdup(system_readable[i]));
    for (size_t i = 0; i < ARRAY_SIZE(library_variables); i++) {
        const char *path = getenv(library_variables[i]);

        if (path && *path == '/')
            add(&reach->readable, xstrdup(path));
    }
    add(&reach->writable, xstrdup("/dev/null"));
}

int reach_find(struct reach *out, const struct config *config, struct err *err)
{
    scoped_reach reach = {.port = config->listen_port};
    scoped_str resolver = realpath("/etc/resolv.conf", NULL);

    if (store_lock_make_folder(config->database, err) < 0)
        return -1;
    add_database(&reach, config->database);
    add(&reach.writable, xstrdup(config->work_dir));
    add_system(&reach);
    if (resolver)
        add_folder_of(&reach.readable, resolver);
    add_file(&reach, config->file);
    add_file(&reach, config->ca_file);
    add_file(&reach, config->github_app_private_key_path);
    add_launchers(&reach, config);
    *out = reach;
    reach = (struct reach){0};
    return 0;
}

/* --- Comparing ---------------------------------------------------------------------------- */

static bool has_above(const struct reach_paths *paths, const char *path)
{
    for (size_t i = 0; i < paths->count; i++) {
        size_t length = strlen(paths->all[i]);

        if (strncmp(paths->all[i], path, length) == 0 && (!path[length] || path[length] == '/'))
            return true;
    }
    return false;
}

static const char *first_lacking(const struct reach_paths *has, const struct reach_paths *more,
                                 const struct reach_paths *wanted)
{
    for (size_t i = 0; i < wanted->count; i++)
        if (!has_above(has, wanted->all[i]) && !(more && has_above(more, wanted->all[i]))
            && access(wanted->all[i], F_OK) == 0)
            return wanted->all[i];
    return NULL;
}

const char *reach_lacks(const struct reach *reach, const struct reach *wanted)
{
    const char *lacking = first_lacking(&reach->writable, NULL, &wanted->writable);

    return lacking ? lacking
                   : first_lacking(&reach->readable, &reach->writable, &wanted->readable);
}
