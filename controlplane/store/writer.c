/* SPDX-License-Identifier: Apache-2.0 */
#include "store/writer.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/conn.h"

/*
 * Group commit. Whoever writes appends a job to the queue; the writer's thread takes what is
 * there, runs it between BEGIN IMMEDIATE and COMMIT, and answers. Jobs that arrive meanwhile
 * are the next batch. It never waits for more to arrive: that was measured to be slower, and
 * behind a reader that stays it would launch half as much for a WAL that grows by a third less.
 *
 * Checkpoints happen on the same thread after the answers are out, so that no caller waits
 * for one, and no other connection ever does one.
 */
#define BATCH_MAX 512
#define CHECKPOINT_PAGES 1000     /* 4 MiB: larger ones cost latency at the 99th percentile */
#define WAL_PAGES_MAX (16 * 1024) /* 64 MiB: from here on wait for readers to get out */
#define TRUNCATE_WAIT_MS 100      /* how long readers may hold up that */
#define TRUNCATE_EVERY_MS 1000
#define WARN_EVERY_MS 60000
#define BUSY_TIMEOUT_MS 5000
#define RETRY_AFTER_S 1

struct job {
    struct job *next;
    db_write_fn write;
    void *ctx;
    void (*done)(void *ctx, const struct err *err); /* NULL: somebody waits for `answered` */
    sem_t answered;
    bool failed;
    struct err err;
};

struct writer {
    struct db_conn *conn;
    pthread_t thread;
    pthread_mutex_t lock; /* over the queue and closing */
    pthread_cond_t work;
    struct job *first;
    struct job **last;
    int n_queued;
    bool closing;

    pthread_mutex_t watch_lock; /* over the next two; held while heard runs */
    void (*heard)(void *ctx);
    void *heard_ctx;

    /* The thread's own. */
    int wal_pages;
    int checkpoint_at_pages;
    int64_t truncated_ms;
    int64_t warned_ms; /* 0: not since the WAL was last emptied */

    _Atomic int64_t commits;
    _Atomic int64_t writes;
    _Atomic int64_t wal_pages_seen;
    _Atomic int64_t largest_batch;
};

/* --- One batch ---------------------------------------------------------------------------- */

/* The error of a job that belongs to a batch which as a whole came to nothing. */
static void fail_batch(struct job *batch, const struct err *why)
{
    for (struct job *job = batch; job; job = job->next) {
        job->failed = true;
        job->err = *why;
        job->err.kind = ERR_UNAVAILABLE;
        job->err.code = NULL;
        job->err.retry_after_s = RETRY_AFTER_S;
    }
}

/* When SQLite has ended the transaction by itself this fails, which is as good. */
static void roll_back(struct db_conn *conn)
{
    struct err ignored;

    conn->audit_known = false;
    if (!sqlite3_get_autocommit(conn->raw) && db_exec(conn, &ignored, "ROLLBACK") < 0)
        log_error("rolling back failed", KV("error", ignored.text));
}

/* Runs one job; a failed one leaves nothing behind. -1: the whole transaction is gone. */
static int run_job(struct db_conn *conn, struct job *job, struct err *err)
{
    if (db_exec(conn, err, "SAVEPOINT job") < 0)
        return -1;
    if (job->write(conn, job->ctx, &job->err) < 0) {
        conn->audit_known = false;
        job->failed = true;
        if (job->err.kind == ERR_NONE)
            (void)err_set(&job->err, ERR_INTERNAL, "a write failed without saying why");
    }
    /* A full disk, for one, makes SQLite roll back everything. */
    if (sqlite3_get_autocommit(conn->raw)) {
        if (!job->failed)
            return err_set(err, ERR_INTERNAL, "a write ended the transaction of all");
        *err = job->err;
        return -1;
    }
    if (job->failed && db_exec(conn, err, "ROLLBACK TO job") < 0)
        return -1;
    return db_exec(conn, err, "RELEASE job") < 0 ? -1 : 0;
}

static int run_all(struct writer *writer, struct job *batch, struct err *err)
{
    struct db_conn *conn = writer->conn;

    roll_back(conn); /* what a failed rollback has left open, for want of memory */
    if (db_exec(conn, err, "BEGIN IMMEDIATE") < 0)
        return -1;
    for (struct job *job = batch; job; job = job->next)
        if (run_job(conn, job, err) < 0)
            return -1;
    return db_exec(conn, err, "COMMIT") < 0 ? -1 : 0;
}

static void run_batch(struct writer *writer, struct job *batch)
{
    struct err err = {0};

    writer->conn->announced = false;
    if (run_all(writer, batch, &err) == 0) {
        atomic_fetch_add(&writer->commits, 1);
        return;
    }
    writer->conn->announced = false;
    roll_back(writer->conn);
    log_error("a commit failed, its writes are refused", KV("error", err.text));
    (void)err_wrap(&err, "the database can't be written right now");
    fail_batch(batch, &err);
}

/* A waiting caller's job is gone as soon as it is answered. */
static void answer(struct job *batch)
{
    while (batch) {
        struct job *job = batch;

        batch = job->next;
        if (job->done) {
            job->done(job->ctx, job->failed ? &job->err : NULL);
            free(job);
        } else {
            (void)sem_post(&job->answered);
        }
    }
}

static void tell_watcher(struct writer *writer)
{
    if (!writer->conn->announced)
        return;
    (void)pthread_mutex_lock(&writer->watch_lock);
    if (writer->heard)
        writer->heard(writer->heard_ctx);
    (void)pthread_mutex_unlock(&writer->watch_lock);
}

/* --- The WAL ------------------------------------------------------------------------------ */

static int on_wal(void *ctx, sqlite3 *raw, const char *schema, int pages)
{
    struct writer *writer = ctx;

    (void)raw;
    (void)schema;
    if (pages < writer->wal_pages)
        writer->checkpoint_at_pages = CHECKPOINT_PAGES; /* it began anew */
    writer->wal_pages = pages;
    atomic_store(&writer->wal_pages_seen, pages);
    return SQLITE_OK;
}

static void warn_of_wal(struct writer *writer, const char *why)
{
    int64_t now_ms = clock_monotonic_ms();

    if (writer->warned_ms && now_ms - writer->warned_ms < WARN_EVERY_MS)
        return;
    log_warn("a reader keeps the write-ahead log from being emptied, which grows meanwhile, "
             "will retry",
             KV("pages", writer->wal_pages), KV("error", why));
    writer->warned_ms = now_ms;
}

/*
 * A reader that stays keeps the WAL from beginning anew. Wait a moment for it to leave, but
 * not again and again: writes wait meanwhile.
 */
static void truncate_wal(struct writer *writer)
{
    sqlite3 *raw = writer->conn->raw;
    int64_t now_ms = clock_monotonic_ms();

    if (now_ms - writer->truncated_ms < TRUNCATE_EVERY_MS)
        return;
    (void)sqlite3_busy_timeout(raw, TRUNCATE_WAIT_MS);
    if (sqlite3_wal_checkpoint_v2(raw, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL)
        == SQLITE_OK) {
        writer->wal_pages = 0;
        writer->checkpoint_at_pages = CHECKPOINT_PAGES;
        writer->warned_ms = 0;
        atomic_store(&writer->wal_pages_seen, 0);
    } else {
        warn_of_wal(writer, sqlite3_errmsg(raw));
    }
    (void)sqlite3_busy_timeout(raw, BUSY_TIMEOUT_MS);
    writer->truncated_ms = clock_monotonic_ms();
}

static void checkpoint(struct writer *writer)
{
    sqlite3 *raw = writer->conn->raw;

    if (writer->wal_pages >= writer->checkpoint_at_pages) {
        if (sqlite3_wal_checkpoint_v2(raw, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL)
            != SQLITE_OK)
            log_warn("a checkpoint failed, will retry", KV("error", sqlite3_errmsg(raw)));
        /* Where a reader held it up, look again after as many pages more. */
        writer->checkpoint_at_pages = writer->wal_pages + CHECKPOINT_PAGES;
    }
    /* After any write, so that housekeeping brings it down again where nobody else writes. */
    if (writer->wal_pages >= WAL_PAGES_MAX)
        truncate_wal(writer);
}

/* --- The thread --------------------------------------------------------------------------- */

/* Up to BATCH_MAX jobs in the order they came; NULL when we are closing and nothing is left. */
static struct job *take_batch(struct writer *writer)
{
    struct job *batch;
    struct job **end = &batch;
    int size = 0;

    (void)pthread_mutex_lock(&writer->lock);
    while (!writer->first && !writer->closing)
        (void)pthread_cond_wait(&writer->work, &writer->lock);
    batch = writer->first;
    while (*end && size < BATCH_MAX) {
        end = &(*end)->next;
        size++;
    }
    writer->first = *end;
    *end = NULL;
    if (!writer->first)
        writer->last = &writer->first;
    writer->n_queued -= size;
    (void)pthread_mutex_unlock(&writer->lock);

    atomic_fetch_add(&writer->writes, size);
    if (size > atomic_load(&writer->largest_batch))
        atomic_store(&writer->largest_batch, size);
    return batch;
}

static void *writer_main(void *arg)
{
    struct writer *writer = arg;
    struct job *batch;

    while ((batch = take_batch(writer))) {
        run_batch(writer, batch);
        answer(batch);
        tell_watcher(writer);
        checkpoint(writer);
    }
    return NULL;
}

struct writer *writer_start(struct db_conn *conn, struct err *err)
{
    struct writer *writer = xcalloc(1, sizeof(*writer));
    int failed;

    writer->conn = conn;
    writer->last = &writer->first;
    writer->checkpoint_at_pages = CHECKPOINT_PAGES;
    (void)sqlite3_wal_hook(conn->raw, on_wal, writer);
    (void)pthread_mutex_init(&writer->lock, NULL);
    (void)pthread_mutex_init(&writer->watch_lock, NULL);
    (void)pthread_cond_init(&writer->work, NULL);
    failed = pthread_create(&writer->thread, NULL, writer_main, writer);
    if (!failed)
        return writer;
    (void)err_set_errno(err, failed, "starting the database's writer");
    db_conn_free(conn);
    free(writer);
    return NULL;
}

void writer_drain(struct writer *writer)
{
    bool was_closing;

    (void)pthread_mutex_lock(&writer->lock);
    was_closing = writer->closing;
    writer->closing = true;
    (void)pthread_cond_signal(&writer->work);
    (void)pthread_mutex_unlock(&writer->lock);
    if (!was_closing)
        (void)pthread_join(writer->thread, NULL);
}

void writer_free(struct writer *writer)
{
    if (!writer)
        return;
    writer_drain(writer);
    if (sqlite3_wal_checkpoint_v2(writer->conn->raw, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
                                  NULL)
        != SQLITE_OK)
        log_warn("the last checkpoint failed, ignoring: the next start makes it",
                 KV("error", sqlite3_errmsg(writer->conn->raw)));
    db_conn_free(writer->conn);
    (void)pthread_cond_destroy(&writer->work);
    (void)pthread_mutex_destroy(&writer->lock);
    (void)pthread_mutex_destroy(&writer->watch_lock);
    free(writer);
}

/* --- Handing in --------------------------------------------------------------------------- */

static int enqueue(struct writer *writer, struct job *job, struct err *err)
{
    int result = 0;

    (void)pthread_mutex_lock(&writer->lock);
    if (writer->closing) {
        result = err_set(err, ERR_UNAVAILABLE, "the database is being closed");
    } else if (writer->n_queued >= DB_QUEUE_MAX) {
        result = err_set(err, ERR_UNAVAILABLE, "too many writes are waiting for the database");
        err->retry_after_s = RETRY_AFTER_S;
    } else {
        *writer->last = job;
        writer->last = &job->next;
        if (writer->n_queued++ == 0)
            (void)pthread_cond_signal(&writer->work);
    }
    (void)pthread_mutex_unlock(&writer->lock);
    return result;
}

int writer_run(struct writer *writer, db_write_fn write, void *ctx, struct err *err)
{
    struct job job = {.write = write, .ctx = ctx};
    int result;

    if (pthread_equal(pthread_self(), writer->thread))
        return err_set(err, ERR_INTERNAL, "the writer can't wait for itself");
    (void)sem_init(&job.answered, 0, 0);
    result = enqueue(writer, &job, err);
    if (result == 0) {
        while (sem_wait(&job.answered) < 0 && errno == EINTR)
            ;
        if (job.failed) {
            *err = job.err;
            result = -1;
        }
    }
    (void)sem_destroy(&job.answered);
    return result;
}

int writer_queue(struct writer *writer, db_write_fn write, void *ctx,
                 void (*done)(void *ctx, const struct err *err), struct err *err)
{
    struct job *job = xcalloc(1, sizeof(*job));

    *job = (struct job){.write = write, .ctx = ctx, .done = done};
    if (enqueue(writer, job, err) == 0)
        return 0;
    free(job);
    return -1;
}

void writer_watch(struct writer *writer, void (*heard)(void *ctx), void *ctx)
{
    (void)pthread_mutex_lock(&writer->watch_lock);
    writer->heard = heard;
    writer->heard_ctx = ctx;
    (void)pthread_mutex_unlock(&writer->watch_lock);
}

void writer_stats(struct writer *writer, struct db_stats *out)
{
    *out = (struct db_stats){
        .commits = atomic_load(&writer->commits),
        .writes = atomic_load(&writer->writes),
        .largest_batch = atomic_load(&writer->largest_batch),
        .wal_pages = atomic_load(&writer->wal_pages_seen),
    };
}
