/* SPDX-License-Identifier: Apache-2.0 */
#include "git/cached_clone.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "git/cache.h"
#include "git/file_copy.h"

#define FETCH_MAX_MS (20 * 60 * 1000)
#define SHA256_ID_LENGTH 64

struct clone {
    struct workspace *ws;
    struct git *git;
    char *git_dir;
    char *branch;
    char *tracking;                 /* refs/remotes/origin/BRANCH */
    char tip[CACHE_COMMIT_SIZE];    /* where the remote is */
    char cached[CACHE_COMMIT_SIZE]; /* where we were */
    int pack;                       /* the kept one */
};

static void clone_done(struct clone *clone)
{
    free(clone->git_dir);
    free(clone->branch);
    free(clone->tracking);
    if (clone->pack >= 0)
        (void)close(clone->pack);
}

static int run(const struct clone *clone, bool remote, const char *const *args, struct buf *out,
               struct err *err)
{
    struct git_call call = {
        .args = args,
        .home = clone->ws->git_home,
        .cwd = clone->ws->checkout,
        .git_dir = clone->git_dir,
        .work_tree = clone->ws->checkout,
        .remote = remote,
        .wall_clock_ms = FETCH_MAX_MS,
        .out = out,
    };

    return git_run(clone->git, &call, err);
}

/* --- What the remote has ----------------------------------------------------------------- */

/* "ref: refs/heads/main\tHEAD" and "<id>\tHEAD", or "<id>\trefs/heads/main". */
static int read_tip(struct clone *clone, const char *answer, struct err *err)
{
    static const char head[] = "ref: refs/heads/";
    size_t length;

    if (!clone->branch && strncmp(answer, head, strlen(head)) == 0) {
        answer += strlen(head);
        clone->branch = xstrndup(answer, strcspn(answer, "\t\n"));
        answer += strcspn(answer, "\n");
        answer += *answer == '\n';
    }
    length = strcspn(answer, "\t");
    if (!clone->branch || !answer[length] || length >= sizeof(clone->tip))
        return err_set(err, ERR_NOT_FOUND, "the remote has no such branch");
    (void)snprintf(clone->tip, sizeof(clone->tip), "%.*s", (int)length, answer);
    return 0;
}

/* With this run's token: whoever isn't let in there is shown nothing here. */
static int ask_remote(struct clone *clone, struct err *err)
{
    scoped_str ref =
        clone->branch ? xasprintf("refs/heads/%s", clone->branch) : xstrdup("HEAD");
    const char *args[] = {"ls-remote", "--symref", "--", git_url(clone->git), ref, NULL};
    scoped_buf answer = {0};
    struct git_call call = {
        .args = args,
        .home = clone->ws->git_home,
        .cwd = clone->ws->root,
        .remote = true,
        .out = &answer,
    };

    if (git_run(clone->git, &call, err) < 0)
        return -1;
    return read_tip(clone, answer.data ? answer.data : "", err);
}

/* --- What is kept ------------------------------------------------------------------------ */

static int init(struct clone *clone, struct err *err)
{
    scoped_str first = xasprintf("--initial-branch=%s", clone->branch);
    const char *format = strlen(clone->cached) == SHA256_ID_LENGTH ? "--object-format=sha256"
                                                                   : "--object-format=sha1";
    const char *init_args[] = {"init", "--quiet", "--template=", format, first, NULL};
    const char *remote_args[] = {"remote",      "add",    "--no-tags",         "-t",
                                 clone->branch, "origin", git_url(clone->git), NULL};

    return run(clone, false, init_args, NULL, err) < 0
                   || run(clone, false, remote_args, NULL, err) < 0
               ? -1
               : 0;
}

static int write_shallow(const struct clone *clone, struct err *err)
{
    scoped_str path = xasprintf("%s/shallow", clone->git_dir);
    scoped_fd fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 || dprintf(fd, "%s\n", clone->cached) < 0)
        return err_set_errno(err, errno, "%s", path);
    return 0;
}

/* index-pack finds out for itself what is in the pack, and what each object's id is. */
static int take_kept(struct clone *clone, struct err *err)
{
    /* Packs of other names repack wouldn't take away. */
    scoped_str path = xasprintf("%s/objects/pack/pack-%s.pack", clone->git_dir, clone->cached);
    scoped_fd to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const char *index_args[] = {"index-pack", path, NULL};
    const char *ref_args[] = {"update-ref", clone->tracking, clone->cached, NULL};

    if (to < 0)
        return err_set_errno(err, errno, "%s", path);
    return file_copy(clone->pack, to, err) < 0 || run(clone, false, index_args, NULL, err) < 0
                   || write_shallow(clone, err) < 0
                   || run(clone, false, ref_args, NULL, err) < 0
               ? -1
               : 0;
}

/* --- What is new ------------------------------------------------------------------------- */

/* And what isn't the new commit's goes. */
static int fetch(struct clone *clone, struct err *err)
{
    const char *fetch_args[] = {
        "fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", "origin", NULL};
    const char *repack_args[] = {"repack", "--quiet", "-a", "-d", "-n", NULL};

    if (strcmp(clone->tip, clone->cached) == 0)
        return 0; /* the pack is that commit and nothing else */
    return run(clone, true, fetch_args, NULL, err) < 0
                   || run(clone, false, repack_args, NULL, err) < 0
               ? -1
               : 0;
}

static int check_out(struct clone *clone, struct err *err)
{
    scoped_str from = xasprintf("origin/%s", clone->branch);
    const char *args[] = {"checkout", "--quiet", "-B", clone->branch, "--track", from, NULL};

    return run(clone, false, args, NULL, err);
}

static int clone_with_kept(struct clone *clone, struct err *err)
{
    clone->pack = cache_open(clone->ws->cache_folder, git_url(clone->git), clone->branch,
                             clone->cached, err);
    if (clone->pack < 0)
        return -1;
    return init(clone, err) < 0 || take_kept(clone, err) < 0 || fetch(clone, err) < 0
                   || check_out(clone, err) < 0
               ? -1
               : 0;
}

int cached_clone(struct workspace *ws, struct git *git, const char *branch, struct err *err)
{
    struct clone clone = {.ws = ws, .git = git, .pack = -1};
    int result;

    clone.branch = xstrdup(branch);
    result = ask_remote(&clone, err);
    if (result == 0) {
        clone.git_dir = xasprintf("%s/.git", ws->checkout);
        clone.tracking = xasprintf("refs/remotes/origin/%s", clone.branch);
        result = clone_with_kept(&clone, err);
    }
    clone_done(&clone);
    return result;
}

/* --- For later runs ---------------------------------------------------------------------- */

/* The one pack of a fresh clone, for the caller to free; NULL when it isn't one. */
static char *only_pack(const struct workspace *ws)
{
    scoped_str folder = xasprintf("%s/.git/objects/pack", ws->checkout);
    scoped_str found = NULL;
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int packs = 0;

    while (dir && (entry = readdir(dir)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');

        if (!dot || strcmp(dot, ".pack") != 0)
            continue;
        packs++;
        free(found);
        found = xasprintf("%s/%s", folder, entry->d_name);
    }
    if (dir)
        (void)closedir(dir);
    return packs == 1 ? TAKE(found) : NULL;
}

void cached_clone_keep(const struct workspace *ws, const struct git *git)
{
    scoped_str pack = only_pack(ws);
    char kept[CACHE_COMMIT_SIZE];
    struct err err = {0};
    scoped_fd fd = cache_open(ws->cache_folder, git_url(git), ws->base_branch, kept, &err);

    if (!pack || (ws->from_cache && fd >= 0 && strcmp(kept, ws->base_commit) == 0))
        return;
    err = (struct err){0};
    if (cache_keep(ws->cache_folder, git_url(git), ws->base_branch, ws->base_commit, pack, &err)
        < 0)
        log_warn("the clone can't be kept for later runs, ignoring", KV("error", err.text));
}
