/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent_sandbox.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "sandbox/identity.h"
#include "text/text_list.h"

/* --- What it reads ------------------------------------------------------------------------ */

/* A program in .../bin or .../shims finds its libraries beside that folder. Never all of the
 * machine or all of a home, where keys lie. */
static void add_beside(struct text_list *readable, const char *folder)
{
    const char *home = getenv("HOME");
    const char *slash = strrchr(folder, '/');
    bool programs = slash
                    && (strcmp(slash, "/bin") == 0 || strcmp(slash, "/sbin") == 0
                        || strcmp(slash, "/shims") == 0);
    scoped_str beside = programs ? xstrndup(folder, (size_t)(slash - folder)) : NULL;

    if (beside && *beside && (!home || strcmp(home, beside) != 0)
        && strcmp(beside, "/root") != 0)
        text_list_add(readable, "%s", beside);
}

static void add_folders(struct text_list *readable, const char *path)
{
    for (const char *at = path; *at; at += *at == ':') {
        size_t length = strcspn(at, ":");
        scoped_str folder = xstrndup(at, length);

        if (*folder == '/' && folder[1]) {
            text_list_add(readable, "%s", folder);
            add_beside(readable, folder);
        }
        at += length;
    }
}

/* The program as a file, and each word of the command line that names one. */
static void add_files(struct text_list *readable, const char *const *argv)
{
    for (; *argv; argv++) {
        scoped_str real = **argv == '/' ? realpath(*argv, NULL) : NULL;
        struct stat seen;

        if (real && stat(real, &seen) == 0 && S_ISREG(seen.st_mode))
            text_list_add(readable, "%s", real);
    }
}

/* Our own file: the agent starts it as its tool server. */
static void add_runner(struct text_list *readable)
{
    char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (size > 0)
        text_list_add(readable, "%.*s", (int)size, self);
}

/* --- Who it is ---------------------------------------------------------------------------- */

static bool reaches_all(uid_t uid, const char *const *paths)
{
    for (; *paths; paths++) {
        if (!identity_reaches(uid, *paths)) {
            log_info("the agent stays our user: another couldn't reach this",
                     KV("path", *paths));
            return false;
        }
    }
    return true;
}

static int give_all(uid_t uid, const char *const *directories, struct err *err)
{
    for (; *directories; directories++)
        if (identity_give(*directories, uid, err) < 0)
            return -1;
    return 0;
}

/* The number to become, or SANDBOX_OWN_UID; -1 when giving failed half-way. */
static int choose_uid(const struct settings *settings, const struct workspace *workspace,
                      const struct sandbox_options *options, uid_t *out, struct err *err)
{
    uid_t uid = settings->agent_uid ? settings->agent_uid : identity_for_agent();

    *out = SANDBOX_OWN_UID;
    if (uid == SANDBOX_OWN_UID || uid == geteuid() || !identity_may_become(uid))
        return 0;
    workspace_open_to_others(workspace);
    if (!reaches_all(uid, options->writable) || !reaches_all(uid, options->readable))
        return 0;
    *out = uid;
    return give_all(uid, options->writable, err);
}

int agent_sandbox_init(struct sandbox *out, const struct assignment *assignment,
                       const struct workspace *workspace, const struct settings *settings,
                       const char *const *argv, const char *path, struct err *err)
{
    const char *writable[] = {workspace_checkout(workspace), workspace_agent_home(workspace),
                              workspace_agent_tmp(workspace), NULL};
    scoped_text_list readable = {0};
    struct sandbox_options options = {.writable = writable, .uid = SANDBOX_OWN_UID};

    if (!sandbox_mode_parse(assignment->sandbox, &options.mode))
        return err_set(err, ERR_INVALID, "there is no sandbox \"%.20s\"", assignment->sandbox);
    add_folders(&readable, path);
    add_files(&readable, argv);
    add_runner(&readable);
    if (settings->sandbox_readable)
        add_folders(&readable, settings->sandbox_readable);
    options.readable = text_list_view(&readable);
    if (options.mode != SANDBOX_OFF
        && choose_uid(settings, workspace, &options, &options.uid, err) < 0)
        return -1;
    return sandbox_init(out, &options, err);
}
