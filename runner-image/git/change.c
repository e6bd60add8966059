/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "git/saved_base.h"
#include "git/workspace_private.h"
#include "home/stop.h"

/* The second half of workspace.h: everything here runs after the agent has ended, with the
 * private git directory over the agent's tree. */

#define STAGE_MAX_MS (10 * 60 * 1000)
#define PUSH_MAX_MS (20 * 60 * 1000)
#define SHA256_ID_LENGTH 64
#define LINK_MODE "160000"
/* As many submodules as one run carries along. */
#define LINKS_MAX_BYTES (1024 * 1024)

void change_done(struct change *change)
{
    for (size_t i = 0; i < CHANGED_FILES_KEPT; i++)
        free(change->files[i].path);
    free(change->tree);
    *change = (struct change){0};
}

/* A call over the agent's tree from the private directory. */
static struct git_call local_call(const struct workspace *ws, const char *const *args)
{
    return (struct git_call){
        .args = args,
        .home = ws->git_home,
        .cwd = ws->checkout,
        .git_dir = ws->git_dir,
        .work_tree = ws->checkout,
        .wall_clock_ms = STAGE_MAX_MS,
    };
}

static int restore_private(struct workspace *ws, struct git *git, struct err *err)
{
    const char *format = strlen(ws->base_commit) == SHA256_ID_LENGTH ? "--object-format=sha256"
                                                                     : "--object-format=sha1";
    const char *args[] = {"init", "--quiet", "--bare", "--template=", format, NULL};
    struct git_call call = {.args = args, .home = ws->git_home};

    if (workspace_make_private(ws, err) < 0)
        return -1;
    call.cwd = ws->private_dir;
    call.git_dir = ws->git_dir;
    if (git_run(git, &call, err) < 0)
        return -1;
    return saved_base_restore(ws->saved, ws->git_dir, err);
}

/* --- Submodules of the base -------------------------------------------------------------- */

struct links {
    struct buf pathspecs; /* NUL-separated */
    bool too_many;
};

/* "<mode> <id> <stage>\t<path>" */
static void hear_index_entry(void *ctx, const char *record)
{
    static const char exclude[] = ":(top,exclude,literal)";
    struct links *links = ctx;
    const char *path = strchr(record, '\t');

    if (!path || strncmp(record, LINK_MODE " ", strlen(LINK_MODE " ")) != 0)
        return;
    if (links->pathspecs.size > LINKS_MAX_BYTES) {
        links->too_many = true;
        return;
    }
    buf_append_str(&links->pathspecs, exclude);
    buf_append(&links->pathspecs, path + 1, strlen(path + 1) + 1);
}

/* Everything but those: an agent's edits in a submodule belong to another repository. */
static int add_all(struct workspace *ws, struct git *git, struct err *err)
{
    const char *list_args[] = {"ls-files", "--stage", "-z", NULL};
    const char *add_args[] = {"add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul",
                              NULL};
    struct git_call list = local_call(ws, list_args);
    struct git_call add = local_call(ws, add_args);
    struct links links = {0};
    int result;

    buf_append(&links.pathspecs, ":(top)", sizeof(":(top)"));
    list.on_record = hear_index_entry;
    list.ctx = &links;
    result = git_run(git, &list, err);
    if (result == 0 && links.too_many)
        result = err_set(err, ERR_TOO_LARGE, "the repository has too many submodules");
    add.input = links.pathspecs.data;
    add.input_size = links.pathspecs.size;
    if (result == 0)
        result = git_run(git, &add, err);
    buf_done(&links.pathspecs);
    return result;
}

/* --- What changed ------------------------------------------------------------------------ */

struct diff_reader {
    struct change *change;
    bool path_follows; /* a raw record's path comes as a record of its own */
};

/* ":<old mode> <new mode> <old id> <new id> <letter>" and then the path */
static void hear_raw(struct diff_reader *reader, const char *record)
{
    const char *new_mode = strchr(record, ' ');

    reader->path_follows = true;
    if (new_mode && strncmp(new_mode + 1, LINK_MODE, strlen(LINK_MODE)) == 0)
        reader->change->new_links++;
}

/* "<added>\t<removed>\t<path>", with "-" for binary files */
static void hear_counts(struct change *change, const char *record)
{
    const char *removed = strchr(record, '\t');
    const char *path = removed ? strchr(removed + 1, '\t') : NULL;
    struct changed_file file = {.added = -1, .removed = -1};

    if (!path)
        return;
    if (record[0] != '-') {
        file.added = strtoll(record, NULL, 10);
        file.removed = strtoll(removed + 1, NULL, 10);
        change->added += file.added;
        change->removed += file.removed;
    }
    if (change->n_files < CHANGED_FILES_KEPT) {
        file.path = xstrdup(path + 1);
        change->files[change->n_files] = file;
    }
    change->n_files++;
}

static void hear_difference(void *ctx, const char *record)
{
    struct diff_reader *reader = ctx;

    if (reader->path_follows)
        reader->path_follows = false;
    else if (record[0] == ':')
        hear_raw(reader, record);
    else
        hear_counts(reader->change, record);
}

static int compare(struct workspace *ws, struct git *git, struct change *change,
                   struct err *err)
{
    const char *args[] = {"diff-tree",
                          "-r",
                          "-z",
                          "--raw",
                          "--numstat",
                          "--no-renames",
                          "--no-ext-diff",
                          "--no-textconv",
                          "--ignore-submodules=none",
                          ws->base_commit,
                          change->tree,
                          NULL};
    struct diff_reader reader = {.change = change};
    struct git_call call = local_call(ws, args);

    call.on_record = hear_difference;
    call.ctx = &reader;
    return git_run(git, &call, err);
}

static int write_tree(struct workspace *ws, struct git *git, struct change *change,
                      struct err *err)
{
    const char *args[] = {"write-tree", NULL};
    struct git_call call = local_call(ws, args);
    scoped_buf answer = {0};

    call.out = &answer;
    if (git_run(git, &call, err) < 0)
        return -1;
    change->tree = buf_take(&answer);
    return 0;
}

int workspace_diff(struct workspace *ws, struct git *git, const struct change *change,
                   void (*on_data)(void *ctx, const char *data, size_t size), void *ctx,
                   struct err *err)
{
    const char *args[] = {"diff-tree",
                          "-r",
                          "-p",
                          "--text",
                          "--unified=0",
                          "--no-color",
                          "--no-renames",
                          "--no-ext-diff",
                          "--no-textconv",
                          "--src-prefix=a/",
                          "--dst-prefix=b/",
                          "--ignore-submodules=none",
                          ws->base_commit,
                          change->tree,
                          NULL};
    struct git_call call = local_call(ws, args);

    call.on_data = on_data;
    call.ctx = ctx;
    if (git_run(git, &call, err) < 0)
        return err_wrap(err, "reading the change");
    return 0;
}

/* --- Stage, commit, push ----------------------------------------------------------------- */

int workspace_stage(struct workspace *ws, struct git *git, struct change *out, struct err *err)
{
    *out = (struct change){0};
    if (workspace_check_unmoved(ws, err) < 0
        || tree_remove_uncommittable(ws->checkout_fd, &out->nested_git, err) < 0
        || restore_private(ws, git, err) < 0 || add_all(ws, git, err) < 0
        || write_tree(ws, git, out, err) < 0 || compare(ws, git, out, err) < 0)
        return err_wrap(err, "staging the agent's tree");
    if (out->new_links)
        return err_set(err, ERR_INVALID,
                       "the agent's tree has repositories in it that "
                       "can't be committed");
    return 0;
}

int workspace_commit(struct workspace *ws, struct git *git, const struct change *change,
                     const char *message, char **out_commit, struct err *err)
{
    const char *args[] = {"commit-tree", "-p", ws->base_commit, "-F", "-", change->tree, NULL};
    struct git_call call = local_call(ws, args);
    scoped_buf answer = {0};

    call.input = message;
    call.input_size = strlen(message);
    call.out = &answer;
    if (git_run(git, &call, err) < 0)
        return -1;
    *out_commit = buf_take(&answer);
    return 0;
}

int workspace_push(struct workspace *ws, struct git *git, const char *commit,
                   const char *branch, struct err *err)
{
    scoped_str refspec = xasprintf("%s:refs/heads/%s", commit, branch);
    const char *args[] = {"push", "--quiet",    "--no-verify", "--no-signed",
                          "--",   git_url(git), refspec,       NULL};
    struct git_call call = local_call(ws, args);

    call.work_tree = NULL;
    call.cwd = ws->private_dir;
    call.remote = true;
    call.wall_clock_ms = PUSH_MAX_MS;
    for (int try_number = 1;; try_number++) {
        struct err problem = {0};

        if (git_run(git, &call, &problem) == 0)
            return 0;
        if (problem.kind != ERR_UPSTREAM || try_number == GIT_REMOTE_TRIES
            || !stop_sleep(GIT_REMOTE_WAIT_MS * try_number)) {
            *err = problem;
            return -1;
        }
        log_warn("pushing failed, will retry", KV("error", problem.text));
    }
}
