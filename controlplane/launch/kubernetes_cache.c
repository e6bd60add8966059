/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/kubernetes_cache.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "launch/job_ref.h"
#include "launch/outcome.h"

#define FIRST_BUCKETS 256
#define ASK_EVERY_MS 10000
#define ASK_PAUSE_MS 200

struct entry {
    struct entry *next;
    struct id run;
    int attempt;
    uint64_t job_listing; /* the last list it stood in */
    uint64_t pod_listing;
    uint64_t job_version;
    uint64_t pod_version;
    bool pod_there; /* what `pod` says is what is, not what was */
    bool refused_for_now;
    enum kubernetes_stage stage;
    enum kubernetes_job_state told_state;
    int64_t stage_since_ms;
    int64_t node_since_ms; /* 0: it has none */
    int64_t ask_after_ms;
    struct kubernetes_job_facts job;
    struct kubernetes_pod_facts pod;
    char dropped[KUBERNETES_UID_SIZE]; /* this Job is deleted, whatever is still said of it */
    char *refusal;
};

/* One of the two watches. */
struct side {
    struct kubernetes_cache *cache;
    uint64_t listing; /* counts lists */
    bool is_listing;
};

struct kubernetes_cache {
    char *container;
    launcher_changed_fn changed;
    void *changed_ctx;
    struct side jobs;
    struct side pods;

    pthread_mutex_t lock; /* for what follows, and for the two listings */
    struct entry **buckets;
    size_t n_buckets; /* a power of two */
    size_t n_entries;
    int64_t ask_after_ms;
};

struct kubernetes_cache *kubernetes_cache_new(const char *container,
                                              launcher_changed_fn changed, void *changed_ctx)
{
    struct kubernetes_cache *cache = xcalloc(1, sizeof(*cache));

    *cache = (struct kubernetes_cache){
        .container = xstrdup(container),
        .changed = changed,
        .changed_ctx = changed_ctx,
        .jobs = {.cache = cache},
        .pods = {.cache = cache},
        .buckets = xcalloc(FIRST_BUCKETS, sizeof(*cache->buckets)),
        .n_buckets = FIRST_BUCKETS,
    };
    (void)pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

static void entry_free(struct entry *entry)
{
    free(entry->refusal);
    free(entry);
}

void kubernetes_cache_free(struct kubernetes_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < cache->n_buckets; i++)
        for (struct entry *entry = cache->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            entry_free(entry);
        }
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache->buckets);
    free(cache->container);
    free(cache);
}

/* --- The table: with the lock held --------------------------------------------------------
 */

static size_t bucket_of(const struct kubernetes_cache *cache, struct id run, int attempt)
{
    uint64_t mixed =
        ((uint64_t)run.tail ^ (uint64_t)(unsigned)attempt << 48) * UINT64_C(0x9e3779b97f4a7c15);

    return (size_t)(mixed >> 20) & (cache->n_buckets - 1);
}

static struct entry *find(const struct kubernetes_cache *cache, struct id run, int attempt)
{
    struct entry *entry = cache->buckets[bucket_of(cache, run, attempt)];

    while (entry && !(id_equal(entry->run, run) && entry->attempt == attempt))
        entry = entry->next;
    return entry;
}

static void insert(struct kubernetes_cache *cache, struct entry *entry)
{
    struct entry **bucket = &cache->buckets[bucket_of(cache, entry->run, entry->attempt)];

    entry->next = *bucket;
    *bucket = entry;
}

static void grow(struct kubernetes_cache *cache)
{
    struct entry **old = cache->buckets;
    size_t n_old = cache->n_buckets;

    cache->n_buckets = n_old * 2;
    cache->buckets = xcalloc(cache->n_buckets, sizeof(struct entry *));
    for (size_t i = 0; i < n_old; i++)
        for (struct entry *entry = old[i], *next; entry; entry = next) {
            next = entry->next;
            insert(cache, entry);
        }
    free(old);
}

static struct entry *find_or_make(struct kubernetes_cache *cache, struct id run, int attempt)
{
    struct entry *entry = find(cache, run, attempt);

    if (entry)
        return entry;
    if (cache->n_entries == cache->n_buckets)
        grow(cache);
    entry = xcalloc(1, sizeof(*entry));
    entry->run = run;
    entry->attempt = attempt;
    insert(cache, entry);
    cache->n_entries++;
    return entry;
}

static void remove_entry(struct kubernetes_cache *cache, struct entry *entry)
{
    struct entry **at = &cache->buckets[bucket_of(cache, entry->run, entry->attempt)];

    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    cache->n_entries--;
    entry_free(entry);
}

static bool is_empty(const struct entry *entry)
{
    return entry->job.state == KUBERNETES_JOB_NONE && !entry->pod_there && !entry->dropped[0];
}

/* --- News ----------------------------------------------------------------------------- */

struct news {
    struct id run;
    int attempt;
    bool worth_telling;
};

/* After any change of an entry: notes since when it is what it is, drops it when nothing is
 * left. A Job that is first seen has nothing to tell, unless it has ended. */
static struct news settle(struct kubernetes_cache *cache, struct entry *entry)
{
    enum kubernetes_stage stage = kubernetes_view_stage(&entry->job, &entry->pod);
    struct news news = {.run = entry->run, .attempt = entry->attempt};
    int64_t now_ms = clock_monotonic_ms();

    if (stage != entry->stage) {
        news.worth_telling =
            entry->stage != KUBERNETES_STAGE_GONE || stage == KUBERNETES_STAGE_ENDED;
        entry->stage = stage;
        entry->stage_since_ms = now_ms;
    } else if (stage == KUBERNETES_STAGE_ENDED && entry->job.state != entry->told_state) {
        news.worth_telling = true; /* the Job's own word may say why its pod went */
    }
    entry->told_state = entry->job.state;
    if (entry->pod.state < KUBERNETES_POD_CREATING)
        entry->node_since_ms = 0;
    else if (!entry->node_since_ms)
        entry->node_since_ms = now_ms;
    if (is_empty(entry))
        remove_entry(cache, entry);
    return news;
}

static void tell(const struct kubernetes_cache *cache, struct news news)
{
    if (news.worth_telling && cache->changed)
        cache->changed(cache->changed_ctx, news.run, news.attempt);
}

/* --- What objects say: with the lock held -------------------------------------------------
 */

/* Opaque by the documentation, a counter in fact; 0 where it isn't one: then what comes counts.
 */
static uint64_t version_of(const cJSON *object)
{
    const char *text = json_get_str(json_get(object, "metadata"), "resourceVersion");

    return text ? strtoull(text, NULL, 10) : 0;
}

/* Lists may go back: a cluster that was restored from a backup counts from an earlier number.
 */
static bool is_old(const struct side *side, uint64_t version, uint64_t known)
{
    return !side->is_listing && version && version < known;
}

/* Its labels alone could be on anything. */
static bool has_its_name(const cJSON *job, const struct entry *entry)
{
    const char *name = json_get_str(json_get(job, "metadata"), "name");

    return name && strcmp(name, job_ref_make(entry->run, entry->attempt).text) == 0;
}

static void take_job(struct side *side, struct entry *entry, const cJSON *job)
{
    struct kubernetes_job_facts facts;
    uint64_t version = version_of(job);

    if (!has_its_name(job, entry))
        return;
    kubernetes_facts_of_job(job, &facts);
    entry->job_listing = side->listing;
    if (strcmp(facts.uid, entry->dropped) == 0)
        return;
    if (strcmp(facts.uid, entry->job.uid) == 0 && is_old(side, version, entry->job_version))
        return;
    if (strcmp(entry->pod.owner, facts.uid) != 0) {
        /* Made anew under the same name: what the old one's pod did is not its own. */
        entry->pod = (struct kubernetes_pod_facts){0};
        entry->pod_there = false;
    }
    entry->job = facts;
    entry->job_version = version;
}

static void drop_job(struct entry *entry)
{
    entry->job = (struct kubernetes_job_facts){0};
    entry->job_version = 0;
    entry->dropped[0] = '\0';
}

static bool is_same_pod(const struct entry *entry, const struct kubernetes_pod_facts *facts)
{
    return strcmp(entry->pod.uid, facts->uid) == 0;
}

/* The newest pod of the Job is its pod. */
static void take_pod(struct side *side, struct entry *entry, const cJSON *pod)
{
    struct kubernetes_pod_facts facts;
    uint64_t version = version_of(pod);

    kubernetes_facts_of_pod(pod, side->cache->container, &facts);
    if (!facts.owner[0] || (entry->job.uid[0] && strcmp(facts.owner, entry->job.uid) != 0))
        return;
    if (is_same_pod(entry, &facts)) {
        entry->pod_listing = side->listing;
        if (is_old(side, version, entry->pod_version) || !entry->pod_there)
            return;
        kubernetes_facts_pod_after(&entry->pod, &facts);
    } else if (entry->pod.uid[0] && facts.created_ms < entry->pod.created_ms) {
        return;
    }
    entry->pod = facts;
    entry->pod_there = true;
    entry->pod_version = version;
    entry->pod_listing = side->listing;
    free(TAKE(entry->refusal));
}

static void drop_pod(struct entry *entry)
{
    kubernetes_facts_pod_gone(&entry->pod);
    entry->pod_there = false;
}

/* --- From the watches ------------------------------------------------------------------- */

static void on_listing(void *ctx)
{
    struct side *side = ctx;

    (void)pthread_mutex_lock(&side->cache->lock);
    side->listing++;
    side->is_listing = true;
    (void)pthread_mutex_unlock(&side->cache->lock);
}

static void put(struct side *side, const cJSON *object,
                void (*take)(struct side *, struct entry *, const cJSON *))
{
    struct kubernetes_cache *cache = side->cache;
    struct news news;
    struct id run;
    int attempt;

    if (!kubernetes_facts_ours(object, &run, &attempt))
        return;
    (void)pthread_mutex_lock(&cache->lock);
    struct entry *entry = find_or_make(cache, run, attempt);

    take(side, entry, object);
    news = settle(cache, entry);
    (void)pthread_mutex_unlock(&cache->lock);
    tell(cache, news);
}

static void on_job_set(void *ctx, const cJSON *job)
{
    put(ctx, job, take_job);
}

static void on_pod_set(void *ctx, const cJSON *pod)
{
    put(ctx, pod, take_pod);
}

static void on_job_deleted(void *ctx, const cJSON *job)
{
    const struct side *side = ctx;
    struct kubernetes_cache *cache = side->cache;
    struct kubernetes_job_facts facts;
    struct news news = {0};
    struct entry *entry;
    struct id run;
    int attempt;

    if (!kubernetes_facts_ours(job, &run, &attempt))
        return;
    kubernetes_facts_of_job(job, &facts);
    (void)pthread_mutex_lock(&cache->lock);
    entry = find(cache, run, attempt);
    if (entry
        && (strcmp(facts.uid, entry->job.uid) == 0 || strcmp(facts.uid, entry->dropped) == 0)) {
        drop_job(entry);
        news = settle(cache, entry);
    }
    (void)pthread_mutex_unlock(&cache->lock);
    tell(cache, news);
}

static void on_pod_deleted(void *ctx, const cJSON *pod)
{
    struct side *side = ctx;
    struct kubernetes_cache *cache = side->cache;
    struct kubernetes_pod_facts facts;
    struct news news = {0};
    struct entry *entry;
    struct id run;
    int attempt;

    if (!kubernetes_facts_ours(pod, &run, &attempt))
        return;
    kubernetes_facts_of_pod(pod, cache->container, &facts);
    (void)pthread_mutex_lock(&cache->lock);
    entry = find(cache, run, attempt);
    if (entry && is_same_pod(entry, &facts)) {
        take_pod(side, entry, pod); /* its last state may be how it ended */
        drop_pod(entry);
        news = settle(cache, entry);
    }
    (void)pthread_mutex_unlock(&cache->lock);
    tell(cache, news);
}

/* What the list didn't have is gone. */
static void sweep(struct side *side, bool (*sweep_one)(struct side *, struct entry *))
{
    struct kubernetes_cache *cache = side->cache;
    struct news *all = NULL;
    size_t n_all = 0;

    (void)pthread_mutex_lock(&cache->lock);
    side->is_listing = false;
    all = xcalloc(cache->n_entries + 1, sizeof(*all));
    for (size_t i = 0; i < cache->n_buckets; i++)
        for (struct entry *entry = cache->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            if (sweep_one(side, entry))
                all[n_all++] = settle(cache, entry);
        }
    (void)pthread_mutex_unlock(&cache->lock);
    for (size_t i = 0; i < n_all; i++)
        tell(cache, all[i]);
    free(all);
}

static bool sweep_job(struct side *side, struct entry *entry)
{
    if (entry->job_listing == side->listing)
        return false;
    drop_job(entry);
    return true;
}

static bool sweep_pod(struct side *side, struct entry *entry)
{
    if (!entry->pod_there || entry->pod_listing == side->listing)
        return false;
    drop_pod(entry);
    return true;
}

static void on_jobs_listed(void *ctx)
{
    sweep(ctx, sweep_job);
}

static void on_pods_listed(void *ctx)
{
    sweep(ctx, sweep_pod);
}

void kubernetes_cache_hear_jobs(struct kubernetes_cache *cache, struct watch_options *out)
{
    out->on_listing = on_listing;
    out->on_set = on_job_set;
    out->on_deleted = on_job_deleted;
    out->on_listed = on_jobs_listed;
    out->left_out = kubernetes_facts_not_of_job;
    out->ctx = &cache->jobs;
}

void kubernetes_cache_hear_pods(struct kubernetes_cache *cache, struct watch_options *out)
{
    out->on_listing = on_listing;
    out->on_set = on_pod_set;
    out->on_deleted = on_pod_deleted;
    out->on_listed = on_pods_listed;
    out->left_out = kubernetes_facts_not_of_pod;
    out->ctx = &cache->pods;
}

/* --- From our own calls ------------------------------------------------------------------ */

void kubernetes_cache_put_job(struct kubernetes_cache *cache, const cJSON *job)
{
    put(&cache->jobs, job, take_job);
}

void kubernetes_cache_put_pod(struct kubernetes_cache *cache, const cJSON *pod)
{
    put(&cache->pods, pod, take_pod);
}

static bool has_uid(const cJSON *items, const char *uid)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, items)
    {
        const char *there = json_get_str(json_get(item, "metadata"), "uid");

        if (there && strcmp(there, uid) == 0)
            return true;
    }
    return false;
}

void kubernetes_cache_put_pods(struct kubernetes_cache *cache, struct id run, int attempt,
                               const cJSON *pod_list)
{
    const cJSON *items = json_get(pod_list, "items");
    struct news news = {0};
    struct entry *entry;
    const cJSON *pod;

    cJSON_ArrayForEach(pod, items)
    {
        put(&cache->pods, pod, take_pod);
    }
    (void)pthread_mutex_lock(&cache->lock);
    entry = find(cache, run, attempt);
    if (entry && entry->pod_there && !has_uid(items, entry->pod.uid)) {
        drop_pod(entry);
        news = settle(cache, entry);
    }
    (void)pthread_mutex_unlock(&cache->lock);
    tell(cache, news);
}

void kubernetes_cache_drop_job(struct kubernetes_cache *cache, struct id run, int attempt,
                               const char *uid)
{
    struct entry *entry;

    (void)pthread_mutex_lock(&cache->lock);
    entry = find(cache, run, attempt);
    if (entry && strcmp(entry->job.uid, uid) == 0) {
        drop_job(entry);
        (void)snprintf(entry->dropped, sizeof(entry->dropped), "%s", uid);
        (void)settle(cache, entry);
    }
    (void)pthread_mutex_unlock(&cache->lock);
}

void kubernetes_cache_put_refusal(struct kubernetes_cache *cache, struct id run, int attempt,
                                  const char *message)
{
    struct entry *entry;

    (void)pthread_mutex_lock(&cache->lock);
    entry = find(cache, run, attempt);
    if (entry) {
        free(entry->refusal);
        entry->refusal = xstrdup(message);
        entry->refused_for_now = kubernetes_view_refused_for_now(message);
    }
    (void)pthread_mutex_unlock(&cache->lock);
}

bool kubernetes_cache_may_ask(struct kubernetes_cache *cache, struct id run, int attempt)
{
    int64_t now_ms = clock_monotonic_ms();
    struct entry *entry;
    bool may = false;

    (void)pthread_mutex_lock(&cache->lock);
    entry = find(cache, run, attempt);
    if (entry && now_ms >= entry->ask_after_ms && now_ms >= cache->ask_after_ms) {
        entry->ask_after_ms = now_ms + ASK_EVERY_MS;
        cache->ask_after_ms = now_ms + ASK_PAUSE_MS;
        may = true;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return may;
}

/* --- Questions ------------------------------------------------------------------------ */

bool kubernetes_cache_get(struct kubernetes_cache *cache, struct id run, int attempt,
                          struct kubernetes_state *out)
{
    int64_t now_ms = clock_monotonic_ms();
    const struct entry *entry;

    *out = (struct kubernetes_state){0};
    (void)pthread_mutex_lock(&cache->lock);
    entry = find(cache, run, attempt);
    if (entry && entry->job.state != KUBERNETES_JOB_NONE) {
        struct job_view refusal = {0};

        if (entry->refusal)
            outcome_set_detail(&refusal, entry->refusal);
        out->job = entry->job;
        out->pod = entry->pod;
        out->stage_ms = now_ms - entry->stage_since_ms;
        out->node_ms = entry->node_since_ms ? now_ms - entry->node_since_ms : 0;
        out->refused_for_now = entry->refused_for_now;
        memcpy(out->refusal, refusal.detail, sizeof(out->refusal));
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return out->job.state != KUBERNETES_JOB_NONE;
}

void kubernetes_cache_each(struct kubernetes_cache *cache, launcher_job_fn each, void *ctx)
{
    struct news *all = NULL;
    size_t n_all = 0;

    (void)pthread_mutex_lock(&cache->lock);
    all = xcalloc(cache->n_entries + 1, sizeof(*all));
    for (size_t i = 0; i < cache->n_buckets; i++)
        for (const struct entry *entry = cache->buckets[i]; entry; entry = entry->next)
            if (entry->job.state != KUBERNETES_JOB_NONE)
                all[n_all++] = (struct news){.run = entry->run, .attempt = entry->attempt};
    (void)pthread_mutex_unlock(&cache->lock);
    for (size_t i = 0; i < n_all; i++) {
        struct job_ref ref = job_ref_make(all[i].run, all[i].attempt);

        each(ctx, all[i].run, all[i].attempt, ref.text);
    }
    free(all);
}
