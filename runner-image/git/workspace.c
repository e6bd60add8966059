/* SPDX-License-Identifier: Apache-2.0 */
#include "git/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/log.h"
#include "git/cached_clone.h"
#include "git/saved_base.h"
#include "git/workspace_private.h"
#include "home/stop.h"
#include "text/text_list.h"

#define CLONE_MAX_MS (20 * 60 * 1000)
#define COMMIT_ID_MAX 64

/* --- Life cycle -------------------------------------------------------------------------- */

static int make_dir(const char *path, struct err *err)
{
    if (mkdir(path, 0700) < 0)
        return err_set_errno(err, errno, "making %s", path);
    return 0;
}

static int make_dirs(struct workspace *ws, struct err *err)
{
    ws->root_fd = open(ws->root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (ws->root_fd < 0)
        return err_set_errno(err, errno, "opening %s", ws->root);
    ws->checkout = xasprintf("%s/checkout", ws->root);
    ws->agent_home = xasprintf("%s/home", ws->root);
    ws->agent_tmp = xasprintf("%s/tmp", ws->root);
    if (make_dir(ws->checkout, err) < 0 || make_dir(ws->agent_home, err) < 0
        || make_dir(ws->agent_tmp, err) < 0)
        return -1;
    ws->checkout_fd = open(ws->checkout, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (ws->checkout_fd < 0)
        return err_set_errno(err, errno, "opening %s", ws->checkout);
    return 0;
}

/* realpath: an agent's tools compare paths, and so do we. */
static char *make_root(const char *work_dir, const char *run_id, struct err *err)
{
    bool made = mkdir(work_dir, 0711) == 0 || errno == EEXIST;
    scoped_str real = made ? realpath(work_dir, NULL) : NULL;
    scoped_str root = NULL;

    if (!real) {
        err_set_errno(err, errno, "the work directory %s", work_dir);
        return NULL;
    }
    root = xasprintf("%s/dispatch-%s-XXXXXX", real, run_id);
    if (!mkdtemp(root)) {
        err_set_errno(err, errno, "making %s", root);
        return NULL;
    }
    return TAKE(root);
}

struct workspace *workspace_new(const char *work_dir, const char *run_id, struct err *err)
{
    scoped(workspace) ws = xcalloc(1, sizeof(*ws));

    ws->root_fd = -1;
    ws->checkout_fd = -1;
    ws->root = make_root(work_dir, run_id, err);
    if (!ws->root || make_dirs(ws, err) < 0)
        return NULL;
    return TAKE(ws);
}

void workspace_free(struct workspace *ws)
{
    struct err err = {0};

    if (!ws)
        return;
    if (ws->root_fd >= 0) {
        if (tree_remove_contents(ws->root_fd, &err) < 0)
            log_warn("the workspace can't be removed, ignoring", KV("error", err.text));
        (void)close(ws->root_fd);
    }
    if (ws->root && rmdir(ws->root) < 0)
        log_warn("the workspace can't be removed, ignoring", KV("path", ws->root));
    if (ws->checkout_fd >= 0)
        (void)close(ws->checkout_fd);
    saved_base_free(ws->saved);
    free(ws->root);
    free(ws->checkout);
    free(ws->agent_home);
    free(ws->agent_tmp);
    free(ws->private_dir);
    free(ws->git_dir);
    free(ws->git_home);
    free(ws->base_branch);
    free(ws->base_commit);
    free(ws->cache_folder);
    free(ws);
}

void workspace_open_to_others(const struct workspace *ws)
{
    if (fchmod(ws->root_fd, 0711) < 0)
        log_warn("the workspace stays closed to others", KV("path", ws->root));
}

const char *workspace_checkout(const struct workspace *ws)
{
    return ws->checkout;
}

const char *workspace_agent_home(const struct workspace *ws)
{
    return ws->agent_home;
}

const char *workspace_agent_tmp(const struct workspace *ws)
{
    return ws->agent_tmp;
}

const char *workspace_base_branch(const struct workspace *ws)
{
    return ws->base_branch;
}

const char *workspace_base_commit(const struct workspace *ws)
{
    return ws->base_commit;
}

/* --- The private directory --------------------------------------------------------------- */

int workspace_make_private(struct workspace *ws, struct err *err)
{
    scoped_str path = xasprintf("%s/private-XXXXXX", ws->root);

    if (!mkdtemp(path))
        return err_set_errno(err, errno, "making %s", path);
    ws->private_dir = TAKE(path);
    ws->git_dir = xasprintf("%s/git", ws->private_dir);
    ws->git_home = xasprintf("%s/home", ws->private_dir);
    return make_dir(ws->git_home, err);
}

int workspace_drop_private(struct workspace *ws, struct err *err)
{
    scoped_fd fd = open(ws->private_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return err_set_errno(err, errno, "opening %s", ws->private_dir);
    if (tree_remove_contents(fd, err) < 0)
        return -1;
    if (rmdir(ws->private_dir) < 0)
        return err_set_errno(err, errno, "removing %s", ws->private_dir);
    free(TAKE(ws->private_dir));
    free(TAKE(ws->git_dir));
    free(TAKE(ws->git_home));
    return 0;
}

int workspace_close(struct workspace *ws, struct err *err)
{
    return ws->private_dir ? workspace_drop_private(ws, err) : 0;
}

static bool still_there(const char *path, int fd)
{
    struct stat by_path;
    struct stat by_fd;

    return lstat(path, &by_path) == 0 && fstat(fd, &by_fd) == 0
           && by_path.st_dev == by_fd.st_dev && by_path.st_ino == by_fd.st_ino;
}

int workspace_check_unmoved(const struct workspace *ws, struct err *err)
{
    if (still_there(ws->root, ws->root_fd) && still_there(ws->checkout, ws->checkout_fd))
        return 0;
    return err_set(err, ERR_INVALID, "the agent moved its workspace away");
}

/* --- Cloning ----------------------------------------------------------------------------- */

static int clone(struct workspace *ws, struct git *git, const char *branch, struct err *err)
{
    static const char *const always[] = {
        "clone",       "--quiet",    "--depth=1",       "--single-branch",         "--no-tags",
        "--template=", "--no-local", "--origin=origin", "--no-recurse-submodules", NULL,
    };
    scoped_text_list args = {0};
    struct git_call call = {
        .home = ws->git_home,
        .cwd = ws->root,
        .remote = true,
        .wall_clock_ms = CLONE_MAX_MS,
    };

    text_list_add_all(&args, always);
    if (branch)
        text_list_add(&args, "--branch=%s", branch);
    text_list_add(&args, "--");
    text_list_add(&args, "%s", git_url(git));
    text_list_add(&args, "%s", ws->checkout);
    call.args = text_list_view(&args);
    return git_run(git, &call, err);
}

/* A network that hiccups is no reason to fail a run that hasn't begun. */
static int clone_patiently(struct workspace *ws, struct git *git, const char *branch,
                           struct err *err)
{
    for (int try_number = 1;; try_number++) {
        struct err problem = {0};

        if (clone(ws, git, branch, &problem) == 0)
            return 0;
        if (problem.kind != ERR_UPSTREAM || try_number == GIT_REMOTE_TRIES
            || !stop_sleep(GIT_REMOTE_WAIT_MS * try_number)) {
            *err = problem;
            return -1;
        }
        log_warn("cloning failed, will retry", KV("error", problem.text));
        if (tree_remove_contents(ws->checkout_fd, err) < 0)
            return -1;
    }
}

/* One line of what git says about the fresh clone; the caller frees it. */
static char *ask(struct workspace *ws, struct git *git, const char *const *args,
                 struct err *err)
{
    scoped_str git_dir = xasprintf("%s/.git", ws->checkout);
    scoped_buf answer = {0};
    struct git_call call = {
        .args = args,
        .home = ws->git_home,
        .cwd = ws->root,
        .git_dir = git_dir,
        .out = &answer,
    };

    if (git_run(git, &call, err) < 0)
        return NULL;
    return buf_take(&answer);
}

/* The branch that HEAD is on, for the caller to free. Not by --short: that says
 * "heads/origin" for a branch called origin. */
static char *ask_branch(struct workspace *ws, struct git *git, struct err *err)
{
    static const char heads[] = "refs/heads/";
    static const char *const args[] = {"symbolic-ref", "--quiet", "HEAD", NULL};
    scoped_str ref = ask(ws, git, args, err);

    if (!ref || strncmp(ref, heads, strlen(heads)) != 0)
        return NULL;
    return xstrdup(ref + strlen(heads));
}

static int read_base(struct workspace *ws, struct git *git, const char *branch, struct err *err)
{
    const char *commit_args[] = {"rev-parse", "--verify", "--quiet", "HEAD^{commit}", NULL};
    struct err problem = {0};

    ws->base_commit = ask(ws, git, commit_args, &problem);
    if (!ws->base_commit || strlen(ws->base_commit) > COMMIT_ID_MAX)
        return err_set(err, ERR_NOT_FOUND, "the repository has no commits on its branch yet");
    ws->base_branch = ask_branch(ws, git, &problem);
    if (!ws->base_branch || (branch && strcmp(ws->base_branch, branch) != 0))
        return err_set(err, ERR_NOT_FOUND, "%s isn't a branch", branch ? branch : "HEAD");
    return 0;
}

/* A .git of templates has these, and tools expect them. */
static int make_usual_dirs(const char *git_dir, struct err *err)
{
    scoped_str info = xasprintf("%s/info", git_dir);
    scoped_str hooks = xasprintf("%s/hooks", git_dir);

    return make_dir(info, err) < 0 || make_dir(hooks, err) < 0 ? -1 : 0;
}

void workspace_use_cache(struct workspace *ws, const char *folder)
{
    free(ws->cache_folder);
    ws->cache_folder = xstrdup(folder);
}

bool workspace_from_cache(const struct workspace *ws)
{
    return ws->from_cache;
}

/* What was kept is a help and never a hindrance: when it fails, all is fetched as ever. */
static int clone_somehow(struct workspace *ws, struct git *git, const char *branch,
                         struct err *err)
{
    struct err problem = {0};

    if (ws->cache_folder) {
        ws->from_cache = cached_clone(ws, git, branch, &problem) == 0;
        if (ws->from_cache)
            return 0;
        if (problem.kind != ERR_NOT_FOUND)
            log_warn("the cached clone is of no use, ignoring", KV("error", problem.text));
        if (tree_remove_contents(ws->checkout_fd, err) < 0)
            return -1;
    }
    return clone_patiently(ws, git, branch, err);
}

int workspace_clone(struct workspace *ws, struct git *git, const char *branch, struct err *err)
{
    scoped_str git_dir = xasprintf("%s/.git", ws->checkout);

    if (workspace_make_private(ws, err) < 0 || clone_somehow(ws, git, branch, err) < 0
        || read_base(ws, git, branch, err) < 0 || make_usual_dirs(git_dir, err) < 0)
        return -1;
    ws->saved = saved_base_take(git_dir, ws->root, err);
    if (!ws->saved)
        return err_wrap(err, "saving the clone");
    if (ws->cache_folder)
        cached_clone_keep(ws, git);
    return workspace_drop_private(ws, err);
}
