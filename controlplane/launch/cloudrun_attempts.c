/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/cloudrun_attempts.h"

#include <pthread.h>

#include "base/alloc.h"

struct entry {
    struct id run;
    int attempt;
    bool in_hand;
    int waiting; /* threads that want to start it too */
    int64_t asked_ms;
    bool secret;
    bool secret_done;
    struct entry *next;
};

struct cloudrun_attempts {
    pthread_mutex_t lock;
    pthread_cond_t left;
    struct entry *first;
};

struct cloudrun_attempts *cloudrun_attempts_new(void)
{
    struct cloudrun_attempts *attempts = xcalloc(1, sizeof(*attempts));

    (void)pthread_mutex_init(&attempts->lock, NULL);
    (void)pthread_cond_init(&attempts->left, NULL);
    return attempts;
}

void cloudrun_attempts_free(struct cloudrun_attempts *attempts)
{
    if (!attempts)
        return;
    while (attempts->first) {
        struct entry *entry = attempts->first;

        attempts->first = entry->next;
        free(entry);
    }
    (void)pthread_cond_destroy(&attempts->left);
    (void)pthread_mutex_destroy(&attempts->lock);
    free(attempts);
}

/* --- Under the lock ----------------------------------------------------------------------- */

static struct entry *find(struct cloudrun_attempts *attempts, struct id run, int attempt)
{
    struct entry *entry = attempts->first;

    while (entry && (entry->attempt != attempt || !id_equal(entry->run, run)))
        entry = entry->next;
    return entry;
}

static struct entry *find_or_make(struct cloudrun_attempts *attempts, struct id run,
                                  int attempt)
{
    struct entry *entry = find(attempts, run, attempt);

    if (!entry) {
        entry = xcalloc(1, sizeof(*entry));
        *entry = (struct entry){.run = run, .attempt = attempt, .next = attempts->first};
        attempts->first = entry;
    }
    return entry;
}

static void drop_if_idle(struct cloudrun_attempts *attempts, struct entry *entry)
{
    struct entry **at = &attempts->first;

    if (entry->in_hand || entry->waiting || entry->asked_ms || entry->secret)
        return;
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    free(entry);
}

/* --- Starts ------------------------------------------------------------------------------- */

int64_t cloudrun_attempts_enter(struct cloudrun_attempts *attempts, struct id run, int attempt)
{
    struct entry *entry;
    int64_t asked_ms;

    (void)pthread_mutex_lock(&attempts->lock);
    entry = find_or_make(attempts, run, attempt);
    entry->waiting++;
    while (entry->in_hand)
        (void)pthread_cond_wait(&attempts->left, &attempts->lock);
    entry->waiting--;
    entry->in_hand = true;
    asked_ms = entry->asked_ms;
    (void)pthread_mutex_unlock(&attempts->lock);
    return asked_ms;
}

void cloudrun_attempts_leave(struct cloudrun_attempts *attempts, struct id run, int attempt,
                             int64_t asked_ms)
{
    struct entry *entry;

    (void)pthread_mutex_lock(&attempts->lock);
    entry = find_or_make(attempts, run, attempt);
    entry->in_hand = false;
    entry->asked_ms = asked_ms;
    (void)pthread_cond_broadcast(&attempts->left);
    drop_if_idle(attempts, entry);
    (void)pthread_mutex_unlock(&attempts->lock);
}

bool cloudrun_attempts_is_open(struct cloudrun_attempts *attempts, struct id run, int attempt)
{
    const struct entry *entry;
    bool open;

    (void)pthread_mutex_lock(&attempts->lock);
    entry = find(attempts, run, attempt);
    open = entry && entry->asked_ms;
    (void)pthread_mutex_unlock(&attempts->lock);
    return open;
}

void cloudrun_attempts_close(struct cloudrun_attempts *attempts, struct id run, int attempt)
{
    struct entry *entry;

    (void)pthread_mutex_lock(&attempts->lock);
    entry = find(attempts, run, attempt);
    if (entry) {
        entry->asked_ms = 0;
        drop_if_idle(attempts, entry);
    }
    (void)pthread_mutex_unlock(&attempts->lock);
}

/* --- Secrets ------------------------------------------------------------------------------ */

void cloudrun_attempts_secret_made(struct cloudrun_attempts *attempts, struct id run,
                                   int attempt)
{
    (void)pthread_mutex_lock(&attempts->lock);
    find_or_make(attempts, run, attempt)->secret = true;
    (void)pthread_mutex_unlock(&attempts->lock);
}

void cloudrun_attempts_secret_done(struct cloudrun_attempts *attempts, struct id run,
                                   int attempt)
{
    struct entry *entry;

    (void)pthread_mutex_lock(&attempts->lock);
    entry = find(attempts, run, attempt);
    if (entry && entry->secret)
        entry->secret_done = true;
    (void)pthread_mutex_unlock(&attempts->lock);
}

void cloudrun_attempts_secret_over(struct cloudrun_attempts *attempts, struct id run,
                                   int attempt)
{
    struct entry *entry;

    (void)pthread_mutex_lock(&attempts->lock);
    entry = find_or_make(attempts, run, attempt);
    entry->secret = true;
    entry->secret_done = true;
    (void)pthread_mutex_unlock(&attempts->lock);
}

bool cloudrun_attempts_secret_due(struct cloudrun_attempts *attempts, struct id *out_run,
                                  int *out_attempt)
{
    struct entry *entry;
    bool found;

    (void)pthread_mutex_lock(&attempts->lock);
    entry = attempts->first;
    while (entry && !entry->secret_done)
        entry = entry->next;
    found = entry != NULL;
    if (found) {
        *out_run = entry->run;
        *out_attempt = entry->attempt;
        entry->secret = false;
        entry->secret_done = false;
        drop_if_idle(attempts, entry);
    }
    (void)pthread_mutex_unlock(&attempts->lock);
    return found;
}
