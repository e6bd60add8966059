/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/job_cleaner.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "base/alloc.h"
#include "base/log.h"
#include "launch/tree.h"

struct task {
    char *dir; /* NULL: the work directory itself */
    char *name;
    struct task *next;
};

struct job_cleaner {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct task *first;
    struct task **end;
    atomic_bool closing;
    int work_fd;
};

static void task_free(struct task *task)
{
    free(task->dir);
    free(task->name);
    free(task);
}

static void do_task(struct job_cleaner *cleaner, const struct task *task)
{
    scoped_fd dir = openat(cleaner->work_fd, task->dir ? task->dir : ".",
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct err err = {0};

    if (dir < 0)
        return; /* forgotten in the meantime */
    if (tree_remove(dir, task->name, &cleaner->closing, &err) < 0
        && !atomic_load(&cleaner->closing))
        log_warn("what a job left could not be removed, ignoring it", KV("dir", task->dir),
                 KV("name", task->name), KV("error", err.text));
}

/* The next task, or NULL at the end of the thread. */
static struct task *next_task(struct job_cleaner *cleaner)
{
    struct task *task = NULL;

    (void)pthread_mutex_lock(&cleaner->lock);
    while (!cleaner->first && !atomic_load(&cleaner->closing))
        (void)pthread_cond_wait(&cleaner->more, &cleaner->lock);
    if (!atomic_load(&cleaner->closing)) {
        task = cleaner->first;
        cleaner->first = task->next;
        if (!cleaner->first)
            cleaner->end = &cleaner->first;
    }
    (void)pthread_mutex_unlock(&cleaner->lock);
    return task;
}

static void *clean_thread(void *ctx)
{
    struct job_cleaner *cleaner = ctx;
    struct task *task;

    while ((task = next_task(cleaner))) {
        do_task(cleaner, task);
        task_free(task);
    }
    return NULL;
}

static void release(struct job_cleaner *cleaner)
{
    while (cleaner->first) {
        struct task *task = cleaner->first;

        cleaner->first = task->next;
        task_free(task);
    }
    (void)pthread_cond_destroy(&cleaner->more);
    (void)pthread_mutex_destroy(&cleaner->lock);
    free(cleaner);
}

struct job_cleaner *job_cleaner_new(int work_fd, struct err *err)
{
    struct job_cleaner *cleaner = xcalloc(1, sizeof(*cleaner));
    int failed;

    cleaner->work_fd = work_fd;
    cleaner->end = &cleaner->first;
    (void)pthread_mutex_init(&cleaner->lock, NULL);
    (void)pthread_cond_init(&cleaner->more, NULL);
    failed = pthread_create(&cleaner->thread, NULL, clean_thread, cleaner);
    if (failed) {
        (void)err_set_errno(err, failed, "starting a thread");
        release(cleaner);
        return NULL;
    }
    return cleaner;
}

void job_cleaner_free(struct job_cleaner *cleaner)
{
    if (!cleaner)
        return;
    (void)pthread_mutex_lock(&cleaner->lock);
    atomic_store(&cleaner->closing, true);
    (void)pthread_cond_signal(&cleaner->more);
    (void)pthread_mutex_unlock(&cleaner->lock);
    (void)pthread_join(cleaner->thread, NULL);
    release(cleaner);
}

void job_cleaner_add(struct job_cleaner *cleaner, const char *dir, const char *name)
{
    struct task *task = xcalloc(1, sizeof(*task));

    *task = (struct task){.dir = xstrdup(dir), .name = xstrdup(name)};
    (void)pthread_mutex_lock(&cleaner->lock);
    *cleaner->end = task;
    cleaner->end = &task->next;
    (void)pthread_cond_signal(&cleaner->more);
    (void)pthread_mutex_unlock(&cleaner->lock);
}
