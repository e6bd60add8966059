/* SPDX-License-Identifier: Apache-2.0 */
#include "git/git.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "git/complaint.h"
#include "git/credential.h"
#include "process/process.h"
#include "sandbox/disk_full.h"
#include "sandbox/trusted_path.h"
#include "text/text_list.h"

#define DEFAULT_WALL_CLOCK_MS 120000
#define TERM_GRACE_MS 2000
/* The end of what git said; its complaint comes last. */
#define COMPLAINT_KEEP_BYTES 8192

struct git {
    int self_fd; /* our program: what is at its path later may be the agent's */
    char *path;  /* where git itself is looked for */
    char *url;
    char *protocol; /* "https" or "http" */
    char *host;     /* host[:port], as git asks its credential helper */
    char *ca_file;
    char *user_name;
    char *user_email;
    struct redaction *redaction;
    const volatile bool *stop;
    int token_fd; /* -1: none yet */
};

/* --- Life cycle -------------------------------------------------------------------------- */

static int split_url(struct git *git, struct err *err)
{
    const char *rest = strstr(git->url, "://");
    size_t host_length;

    if (!rest || strpbrk(git->url, " \t\r\n\\'\"@?#"))
        return err_set(err, ERR_INVALID, "the clone URL is malformed");
    git->protocol = xstrndup(git->url, (size_t)(rest - git->url));
    rest += strlen("://");
    host_length = strcspn(rest, "/");
    git->host = xstrndup(rest, host_length);
    if (strcmp(git->protocol, "https") != 0 && strcmp(git->protocol, "http") != 0)
        return err_set(err, ERR_INVALID, "the clone URL is neither https:// nor http://");
    if (!credential_host_valid(git->host) || !rest[host_length])
        return err_set(err, ERR_INVALID, "the clone URL has no usable host and path");
    return 0;
}

struct git *git_new(const struct git_options *options, struct err *err)
{
    scoped(git) git = xcalloc(1, sizeof(*git));

    git->self_fd = -1;
    git->token_fd = -1;
    git->path = trusted_path(getenv("PATH"));
    git->url = xstrdup(options->clone_url);
    git->ca_file = xstrdup(options->ca_file);
    git->user_name = xstrdup(options->user_name);
    git->user_email = xstrdup(options->user_email);
    git->redaction = options->redaction;
    git->stop = options->stop;
    if (split_url(git, err) < 0)
        return NULL;
    git->self_fd = open(options->self, O_PATH | O_CLOEXEC);
    if (git->self_fd < 0) {
        err_set_errno(err, errno, "%s", options->self);
        return NULL;
    }
    return TAKE(git);
}

void git_free(struct git *git)
{
    if (!git)
        return;
    if (git->token_fd >= 0)
        (void)close(git->token_fd);
    if (git->self_fd >= 0)
        (void)close(git->self_fd);
    free(git->path);
    free(git->url);
    free(git->protocol);
    free(git->host);
    free(git->ca_file);
    free(git->user_name);
    free(git->user_email);
    free(git);
}

int git_set_token(struct git *git, const struct secret *token, struct err *err)
{
    scoped(secret) in_header = credential_in_header(token);
    int fd = credential_open(token, err);

    if (fd < 0)
        return -1;
    if (git->token_fd >= 0)
        (void)close(git->token_fd);
    git->token_fd = fd;
    redaction_add(git->redaction, token);
    redaction_add(git->redaction, in_header);
    return 0;
}

const char *git_url(const struct git *git)
{
    return git->url;
}

/* --- What it is started with ------------------------------------------------------------- */

/* An empty credential.helper forgets those named before it. The fsck exceptions are flaws
 * that honest old histories have; what protects a checkout (.gitmodules, .git as a name, ...)
 * stays an error. */
static const char *const configuration[] = {
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.fileMode=true",
    "core.symlinks=true",
    "core.autocrlf=false",
    "core.safecrlf=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.pager=cat",
    "core.bare=false",
    "core.logAllRefUpdates=false",
    "credential.helper=",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgsign=false",
    "push.gpgSign=false",
    "push.followTags=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "push.recurseSubmodules=no",
    "advice.detachedHead=false",
    "init.defaultBranch=main",
    "protocol.allow=never",
    "protocol.https.allow=always",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
    "fetch.unpackLimit=1",
    "transfer.fsckObjects=true",
    "fetch.fsck.zeroPaddedFilemode=ignore",
    "fetch.fsck.badTimezone=ignore",
    "fetch.fsck.missingSpaceBeforeDate=ignore",
    "fetch.fsck.missingNameBeforeEmail=ignore",
    "fetch.fsck.missingEmail=ignore",
    "fetch.fsck.zeroPaddedDate=ignore",
    "fetch.fsck.badEmail=ignore",
    "fetch.fsck.multipleAuthors=ignore",
};

static void add_arguments(const struct git *git, const struct git_call *call,
                          struct text_list *argv)
{
    text_list_add(argv, "git");
    for (size_t i = 0; i < ARRAY_SIZE(configuration); i++) {
        text_list_add(argv, "-c");
        text_list_add(argv, "%s", configuration[i]);
    }
    text_list_add(argv, "-c");
    text_list_add(argv, "user.name=%s", git->user_name);
    text_list_add(argv, "-c");
    text_list_add(argv, "user.email=%s", git->user_email);
    if (strcmp(git->protocol, "http") == 0) {
        text_list_add(argv, "-c");
        text_list_add(argv, "protocol.http.allow=always");
    }
    if (call->remote && git->token_fd >= 0) {
        scoped_str self = xasprintf("/proc/self/fd/%d", git->self_fd);
        scoped_str helper =
            credential_helper_command(self, git->protocol, git->host, git->token_fd);

        text_list_add(argv, "-c");
        text_list_add(argv, "credential.helper=%s", helper);
    }
    text_list_add_all(argv, call->args);
}

static void add_environment(const struct git *git, const struct git_call *call,
                            struct text_list *env)
{
    static const char *const fixed[] = {
        "LC_ALL=C",
        "GIT_TERMINAL_PROMPT=0",
        "GIT_ASKPASS=/bin/false",
        "SSH_ASKPASS=/bin/false",
        "GIT_SSH_COMMAND=/bin/false",
        "GIT_CONFIG_NOSYSTEM=1",
        "GIT_CONFIG_GLOBAL=/dev/null",
        "GIT_ATTR_NOSYSTEM=1",
        "GIT_NO_REPLACE_OBJECTS=1",
        "GIT_OPTIONAL_LOCKS=0",
        "GIT_EDITOR=/bin/false",
        NULL,
    };
    static const char *const passed_on[] = {
        "https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY",
        "no_proxy",    "NO_PROXY",    "all_proxy",  "ALL_PROXY",
    };

    text_list_add_all(env, fixed);
    text_list_add(env, "PATH=%s", git->path);
    text_list_add(env, "HOME=%s", call->home);
    if (call->git_dir)
        text_list_add(env, "GIT_DIR=%s", call->git_dir);
    if (call->work_tree)
        text_list_add(env, "GIT_WORK_TREE=%s", call->work_tree);
    for (size_t i = 0; call->remote && i < ARRAY_SIZE(passed_on); i++) {
        if (getenv(passed_on[i]))
            text_list_add(env, "%s=%s", passed_on[i], getenv(passed_on[i]));
    }
    if (call->remote && git->ca_file)
        text_list_add(env, "GIT_SSL_CAINFO=%s", git->ca_file);
}

/* --- What it says ------------------------------------------------------------------------ */

struct listener {
    const struct git_call *call;
    struct buf record; /* the one being read */
    struct buf said;   /* the end of stderr */
};

static void hear_record(struct listener *listener, const char *data, size_t size)
{
    while (size) {
        const char *end = memchr(data, '\0', size);
        size_t piece = end ? (size_t)(end - data) : size;

        (void)buf_append_within(&listener->record, data, piece, GIT_RECORD_MAX_BYTES);
        if (end) {
            listener->call->on_record(listener->call->ctx,
                                      listener->record.data ? listener->record.data : "");
            buf_clear(&listener->record);
            piece++;
        }
        data += piece;
        size -= piece;
    }
}

static void hear(void *ctx, enum process_stream stream, const char *data, size_t size)
{
    struct listener *listener = ctx;

    if (stream == PROCESS_STDERR) {
        buf_append(&listener->said, data, size);
        if (listener->said.size > COMPLAINT_KEEP_BYTES)
            buf_drop_front(&listener->said, listener->said.size - COMPLAINT_KEEP_BYTES);
    } else if (listener->call->on_data) {
        listener->call->on_data(listener->call->ctx, data, size);
    } else if (listener->call->on_record) {
        hear_record(listener, data, size);
    } else if (listener->call->out) {
        (void)buf_append_within(listener->call->out, data, size, GIT_OUTPUT_MAX_BYTES);
    }
}

static int judge(struct git *git, const struct git_call *call, const struct process_end *end,
                 struct listener *listener, struct err *err)
{
    scoped_str text = NULL;
    enum err_kind kind;
    char *said;

    if (end->stopped)
        return err_set(err, ERR_UNAVAILABLE, "git %s was stopped", call->args[0]);
    if (end->timed_out)
        return err_set(err, ERR_TIMEOUT, "git %s took longer than %d s", call->args[0],
                       (call->wall_clock_ms ? call->wall_clock_ms : DEFAULT_WALL_CLOCK_MS)
                           / 1000);
    if (end->exit_code == 0)
        return 0;
    buf_append_str(&listener->said, "");
    said = listener->said.data;
    redaction_apply(git->redaction, said);
    log_debug("git failed", KV("command", call->args[0]), KV("stderr", (const char *)said));
    text = complaint_sentence(said);
    kind = complaint_kind(said);
    if (end->signal)
        err_set(err, kind, "git %s was ended by signal %d: %s", call->args[0], end->signal,
                text);
    else
        err_set(err, kind, "git %s: %s", call->args[0], text);
    if ((kind == ERR_INTERNAL || kind == ERR_UNAVAILABLE) && disk_full(call->cwd)) {
        err->kind = ERR_UNAVAILABLE;
        err_wrap(err, "the disk is full");
    }
    return -1;
}

int git_run(struct git *git, const struct git_call *call, struct err *err)
{
    scoped_text_list argv = {0};
    scoped_text_list env = {0};
    const int keep_fds[] = {git->self_fd, git->token_fd};
    struct listener listener = {.call = call};
    struct process_end end = {0};
    struct process_run run = {
        .spec = PROCESS_SPEC_DEFAULTS,
        .input = call->input,
        .input_size = call->input_size,
        .wall_clock_ms = call->wall_clock_ms ? call->wall_clock_ms : DEFAULT_WALL_CLOCK_MS,
        .term_grace_ms = TERM_GRACE_MS,
        .stop = git->stop,
        .on_output = hear,
        .ctx = &listener,
    };
    int result;

    add_arguments(git, call, &argv);
    add_environment(git, call, &env);
    run.spec.argv = text_list_view(&argv);
    run.spec.env = text_list_view(&env);
    run.spec.cwd = call->cwd;
    if (call->remote && git->token_fd >= 0) {
        run.spec.keep_fds = keep_fds;
        run.spec.n_keep_fds = ARRAY_SIZE(keep_fds);
    }
    result = process_run(&run, &end, err);
    if (result == 0)
        result = judge(git, call, &end, &listener, err);
    else
        err_wrap(err, "git %s", call->args[0]);
    if (call->out && call->out->size && call->out->data[call->out->size - 1] == '\n')
        call->out->data[--call->out->size] = '\0';
    buf_done(&listener.record);
    buf_done(&listener.said);
    return result;
}
