/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_image.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "kubernetes/lines.h"
#include "launch/docker_auth.h"
#include "launch/docker_progress.h"

#define PULL_SILENCE_MS 300000 /* some engines say nothing while they unpack */
#define LINE_MAX_BYTES 65536
#define ASK_AGAIN_S 2

enum policy { ALWAYS, MISSING, NEVER };

struct docker_image {
    struct docker_api *api;
    char *name;
    char *auth_file;
    enum policy policy;
    volatile bool cancel;

    pthread_mutex_t lock;
    pthread_cond_t ended;
    pthread_t thread;
    bool has_thread; /* to be joined */
    bool pulling;
    bool failed;         /* the last one did */
    int64_t ended_at_ms; /* 0: there was none */
    struct err failure;
};

struct docker_image *docker_image_new(struct docker_api *api,
                                      const struct config_docker *settings)
{
    const char *policy = settings->pull_policy;
    struct docker_image *image = xcalloc(1, sizeof(*image));
    pthread_condattr_t monotonic;

    image->api = api;
    image->name = xstrdup(settings->image);
    image->auth_file = xstrdup(settings->auth_file);
    image->policy = !policy || strcmp(policy, "missing") == 0 ? MISSING
                    : strcmp(policy, "always") == 0           ? ALWAYS
                                                              : NEVER;
    (void)pthread_mutex_init(&image->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&image->ended, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return image;
}

void docker_image_free(struct docker_image *image)
{
    if (!image)
        return;
    __atomic_store_n(&image->cancel, true, __ATOMIC_RELEASE);
    if (image->has_thread)
        (void)pthread_join(image->thread, NULL);
    (void)pthread_cond_destroy(&image->ended);
    (void)pthread_mutex_destroy(&image->lock);
    free(image->name);
    free(image->auth_file);
    free(image);
}

/* --- Names
 * -----------------------------------------------------------------------
 */

void docker_image_split(const char *name, char **out_repository, char **out_tag)
{
    const char *slash = strrchr(name, '/');
    const char *at = strchr(name, '@');
    const char *mark = at ? at : strrchr(slash ? slash : name, ':');

    *out_repository = mark ? xstrndup(name, (size_t)(mark - name)) : xstrdup(name);
    *out_tag = xstrdup(mark && mark[1] ? mark + 1 : "latest");
}

/* --- A pull
 * ------------------------------------------------------------------------------------
 */

struct pull {
    const struct docker_image *image;
    struct lines lines;
    char last[DOCKER_PROGRESS_SIZE];
    struct err failure;
};

static int take_line(struct pull *pull, const char *line, size_t size)
{
    char said[DOCKER_PROGRESS_SIZE];

    if (docker_progress_read(line, size, said, &pull->failure) < 0)
        return -1;
    if (*said && strcmp(said, pull->last) != 0)
        log_debug("pulling the runner's image", KV("image", pull->image->name),
                  KV("said", (const char *)said));
    memcpy(pull->last, said, sizeof(said));
    return 0;
}

/* The last line may come without its break. */
static int take_progress(void *ctx, const char *data, size_t size)
{
    struct pull *pull = ctx;
    const char *line;
    size_t length;
    int more;

    lines_add(&pull->lines, data, size);
    while ((more = lines_next(&pull->lines, LINE_MAX_BYTES, &line, &length, &pull->failure))
           == 1)
        if (take_line(pull, line, length) < 0)
            return -1;
    return more;
}

static int send_pull(struct docker_image *image, struct pull *pull, struct err *err)
{
    scoped_str repository = NULL;
    scoped_str tag = NULL;
    scoped_str from = NULL;
    scoped_str escaped = NULL;
    scoped_str path = NULL;
    scoped(secret) auth = NULL;

    docker_image_split(image->name, &repository, &tag);
    if (docker_auth_find(image->auth_file, repository, &auth, err) < 0)
        return -1;
    from = net_escape(repository);
    escaped = net_escape(tag);
    path = xasprintf("/images/create?fromImage=%s&tag=%s", from, escaped);
    return docker_api_call(image->api,
                           &(struct docker_request){.method = "POST",
                                                    .path = path,
                                                    .registry_auth = auth,
                                                    .timeout_ms = PULL_SILENCE_MS,
                                                    .patient = true,
                                                    .on_data = take_progress,
                                                    .ctx = pull,
                                                    .cancel = &image->cancel},
                           NULL, err);
}

/* Refused is refused, whatever the status. Who isn't there, or breaks off, may come back. */
static void classify(struct err *err)
{
    switch (err->kind) {
    case ERR_UNAVAILABLE:
        break;
    case ERR_TIMEOUT:
        err->kind = ERR_UNAVAILABLE;
        break;
    default:
        err->kind = ERR_UPSTREAM;
        err->code = "image_pull";
    }
}

static int pull_now(struct docker_image *image, struct err *err)
{
    struct pull pull = {.image = image};
    struct err failure = {0};
    int result = send_pull(image, &pull, &failure);

    if (pull.lines.start < pull.lines.buf.size && pull.failure.kind == ERR_NONE)
        (void)take_line(&pull, pull.lines.buf.data + pull.lines.start,
                        pull.lines.buf.size - pull.lines.start);
    lines_done(&pull.lines);
    if (pull.failure.kind != ERR_NONE)
        *err = pull.failure;
    else if (result == 0)
        return 0;
    else
        *err = failure;
    classify(err);
    return err_wrap(err, "pulling %.100s", image->name);
}

static void *run_pull(void *arg)
{
    struct docker_image *image = arg;
    struct err err = {0};
    int64_t began_ms = clock_monotonic_ms();
    bool failed = pull_now(image, &err) < 0;

    if (failed)
        log_warn("the runner's image can't be pulled", KV("image", image->name),
                 KV("error", err.text));
    else
        log_info("pulled the runner's image", KV("image", image->name),
                 KV("took_ms", clock_monotonic_ms() - began_ms));
    (void)pthread_mutex_lock(&image->lock);
    image->pulling = false;
    image->failed = failed;
    image->failure = err;
    image->ended_at_ms = clock_monotonic_ms();
    (void)pthread_cond_broadcast(&image->ended);
    (void)pthread_mutex_unlock(&image->lock);
    return NULL;
}

/* --- Asking for it
 * -------------------------------------------------------------------------------
 */

/* Under the lock. */
static int begin(struct docker_image *image, struct err *err)
{
    sigset_t all;
    sigset_t before;
    int failed;

    if (image->has_thread)
        (void)pthread_join(image->thread, NULL); /* it has ended, or is about to return */
    image->has_thread = false;
    image->pulling = true;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&image->thread, NULL, run_pull, image);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    image->has_thread = failed == 0;
    image->pulling = failed == 0;
    return failed ? err_set_errno(err, failed, "starting a thread") : 0;
}

/* Under the lock. */
static void wait_for_end(struct docker_image *image)
{
    int64_t until_ms = clock_monotonic_ms() + DOCKER_IMAGE_WAIT_MS;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};

    while (image->pulling)
        if (pthread_cond_timedwait(&image->ended, &image->lock, &until) == ETIMEDOUT)
            break;
}

/* Under the lock. Is there a word of so long ago at most? */
static bool is_recent(const struct docker_image *image, bool failed, int64_t within_ms)
{
    return image->ended_at_ms && image->failed == failed
           && clock_monotonic_ms() - image->ended_at_ms < within_ms;
}

/* Under the lock. */
static int have_pulled(struct docker_image *image, struct err *err)
{
    if (!image->pulling && !is_recent(image, true, DOCKER_IMAGE_FAILED_MS)
        && begin(image, err) < 0)
        return -1;
    wait_for_end(image);
    if (image->pulling) {
        (void)err_set(err, ERR_UNAVAILABLE, "its image %.100s is being pulled", image->name);
        err->retry_after_s = ASK_AGAIN_S;
        return -1;
    }
    if (!image->failed)
        return 0;
    *err = image->failure;
    return -1;
}

int docker_image_before(struct docker_image *image, struct err *err)
{
    int result;

    if (image->policy != ALWAYS)
        return 0;
    (void)pthread_mutex_lock(&image->lock);
    result = is_recent(image, false, DOCKER_IMAGE_FRESH_MS) ? 0 : have_pulled(image, err);
    (void)pthread_mutex_unlock(&image->lock);
    return result;
}

int docker_image_missing(struct docker_image *image, struct err *err)
{
    int result;

    if (image->policy == NEVER)
        return err_set_code(err, ERR_NOT_FOUND, "image_pull",
                            "the engine has no image %.100s, and pull_policy is never",
                            image->name);
    (void)pthread_mutex_lock(&image->lock);
    result = have_pulled(image, err);
    (void)pthread_mutex_unlock(&image->lock);
    return result;
}
