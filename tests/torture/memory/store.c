/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store while memory runs out, at every allocation there is within each of its calls: the
 * call succeeds and holds, or is refused and succeeds when there is memory again, or the
 * process ends as stated; then the next one finds a sound database with all that was
 * acknowledged.
 *
 *     no_memory_store EVERY OPENING DIRECTORY     every EVERYth allocation, and of the very
 * many of an opening every OPENINGth
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "crypto/random.h"
#include "failing_malloc.h"
#include "shortage.h"
#include "store/event_store.h"
#include "store/run_store.h"

#define PROMISES_MAX 200000
#define FEW 5
#define LOOKED_FOR 20 /* of the newest; the rest is counted */

struct promise {
    struct id run;
    enum run_status status;
};

/* Outlives the children. */
struct promises {
    int64_t count;
    int64_t databases; /* that were made */
    struct promise all[PROMISES_MAX];
};

struct world {
    struct promises *promises;
    const char *directory;
    const struct step *step;
    bool lasting;
    struct db *db;
    struct id run;
};

struct step {
    const char *name;
    enum run_status from; /* how far the run is before it */
    int (*go)(struct world *world, struct err *err);
    enum run_status to;
    bool opens; /* it opens the database itself; else it is open */
    bool anew;  /* one that there wasn't */
    bool looks; /* at all the runs, a few: one more each time would never end */
};

static void complain(const struct world *world, const char *what, const struct err *err)
{
    (void)fprintf(stderr, "%s: %s: %s\n", world->step->name, what, err->text);
}

/* --- The steps ---------------------------------------------------------------------------- */

static const char key[] = "a key";

static int insert(struct db_conn *conn, void *ctx, struct err *err)
{
    static char repo[] = "octo/hello";
    static char agent[] = "command";
    static char prompt[] = "Fix the typo";
    struct world *world = ctx;
    struct run run = {.id = world->run,
                      .repo = repo,
                      .agent = agent,
                      .prompt = prompt,
                      .deadline_ms = clock_wall_ms() + 3600000};
    struct idempotency idempotency = {.token_id = world->run.key, .key = key};
    struct id existing;

    if (run_store_insert(conn, &run, &idempotency, &existing, err) < 0)
        return -1;
    return audit_append_run(conn, NULL, "run.queue", run.id, repo, err);
}

static int dispatch(struct world *world, struct err *err)
{
    return db_write(world->db, insert, world, err);
}

static int launch(struct world *world, struct err *err)
{
    static const uint8_t hash[SHA256_SIZE] = {1};
    int attempt;

    return run_store_launch(world->db, world->run, "fake", hash, clock_wall_ms() + 60000,
                            &attempt, err);
}

static int claim(struct world *world, struct err *err)
{
    int64_t now_ms = clock_wall_ms();

    return run_store_claim(world->db, world->run, 1, "r", now_ms, now_ms + 60000, NULL, err);
}

static int heartbeat(struct world *world, struct err *err)
{
    bool stop;

    return run_store_heartbeat(world->db, world->run, 1, clock_wall_ms(), &stop, err);
}

static int add_events(struct world *world, struct err *err)
{
    static const struct run_event events[] = {{1, 1, "log", "{\"text\":\"x\"}"},
                                              {2, 2, "step", "{\"name\":\"y\"}"}};
    int64_t stored;

    return event_store_add(world->db, world->run, 1, events, ARRAY_SIZE(events), &stored, err);
}

static int end(struct world *world, struct err *err)
{
    const struct run_end how = {.status = RUN_COMPLETED, .summary = "done", .report_hash = {1}};
    enum run_status from;

    return run_store_end(world->db, world->run, 1, &how, clock_wall_ms(), &from, err);
}

static int load(struct world *world, struct err *err)
{
    scoped(run) run = run_store_load(world->db, world->run, err);

    if (!run)
        return -1;
    return run->repo && strcmp(run->repo, "octo/hello") == 0 && run->prompt
               ? 0
               : err_set(err, ERR_INVALID, "a run with parts missing");
}

static int list(struct world *world, struct err *err)
{
    const struct run_filter filter = {.limit = 20, .all = true};
    struct run_page page = {0};
    int result = run_store_page(world->db, &filter, &page, err);

    for (size_t i = 0; result == 0 && i < page.n_runs; i++)
        if (!page.runs[i]->repo || !page.runs[i]->agent)
            result = err_set(err, ERR_INVALID, "a listed run with parts missing");
    run_page_done(&page);
    return result;
}

static int count(struct world *world, struct err *err)
{
    int64_t counts[RUN_STATUS_COUNT];

    return run_store_count(world->db, counts, err);
}

static int verify_audit(struct world *world, struct err *err)
{
    struct audit_verdict verdict;

    if (audit_verify(world->db, NULL, &verdict, err) < 0)
        return -1;
    return verdict.broken ? err_set(err, ERR_INVALID, "a sound audit log was called broken")
                          : 0;
}

/* Nothing is old enough, but for the keys: it looks, and forgets those. */
static int prune(struct world *world, struct err *err)
{
    struct run_page page = {0};
    int result =
        run_store_prune(world->db, 1, clock_wall_ms() + 48 * 3600 * 1000LL, 100, &page, err);

    run_page_done(&page);
    return result;
}

/* The newest, whichever process made it. */
static char *path_of(const struct world *world)
{
    return xasprintf("%s/%lld.db", world->directory, (long long)world->promises->databases);
}

static int open_it(struct world *world, struct err *err)
{
    scoped_str path = path_of(world);

    world->db = db_open(path, err);
    return world->db ? 0 : -1;
}

static const struct step steps[] = {
    {.name = "open a new database",
     .from = RUN_PENDING,
     .go = open_it,
     .to = RUN_PENDING,
     .opens = true,
     .anew = true},
    {.name = "open the database",
     .from = RUN_PENDING,
     .go = open_it,
     .to = RUN_PENDING,
     .opens = true},
    {.name = "dispatch", .from = RUN_PENDING, .go = dispatch, .to = RUN_PENDING},
    {.name = "launch", .from = RUN_PENDING, .go = launch, .to = RUN_LAUNCHING},
    {.name = "claim", .from = RUN_LAUNCHING, .go = claim, .to = RUN_RUNNING},
    {.name = "heartbeat", .from = RUN_RUNNING, .go = heartbeat, .to = RUN_RUNNING},
    {.name = "events", .from = RUN_RUNNING, .go = add_events, .to = RUN_RUNNING},
    {.name = "end", .from = RUN_RUNNING, .go = end, .to = RUN_COMPLETED},
    {.name = "load", .from = RUN_PENDING, .go = load, .to = RUN_PENDING},
    {.name = "prune", .from = RUN_PENDING, .go = prune, .to = RUN_PENDING},
    {.name = "list", .from = RUN_PENDING, .go = list, .to = RUN_PENDING, .looks = true},
    {.name = "count", .from = RUN_PENDING, .go = count, .to = RUN_PENDING, .looks = true},
    {.name = "audit",
     .from = RUN_PENDING,
     .go = verify_audit,
     .to = RUN_PENDING,
     .looks = true},
};

/* --- What holds --------------------------------------------------------------------------- */

static void promise(struct world *world, enum run_status status)
{
    struct promises *promises = world->promises;

    promises->all[promises->count] = (struct promise){world->run, status};
    promises->count++;
}

static bool is_kept(struct world *world, const struct promise *promise)
{
    struct err err = {0};
    scoped(run) run = run_store_load(world->db, promise->run, &err);

    if (run && run->status == promise->status && run->prompt)
        return true;
    complain(world, "an acknowledged move is lost", &err);
    return false;
}

/* The database is sound, and has what was acknowledged. */
static int look(struct world *world)
{
    int64_t promised = world->promises->count;
    int64_t counts[RUN_STATUS_COUNT];
    int64_t found = 0;
    struct err err = {0};

    if (db_check(world->db, &err) < 0 || run_store_count(world->db, counts, &err) < 0) {
        complain(world, "the database", &err);
        return -1;
    }
    for (int i = 0; i < RUN_STATUS_COUNT; i++)
        found += counts[i];
    if (found < promised) {
        complain(world, "runs are gone", &err);
        return -1;
    }
    for (int64_t i = promised > LOOKED_FOR ? promised - LOOKED_FOR : 0; i < promised; i++)
        if (!is_kept(world, &world->promises->all[i]))
            return -1;
    return 0;
}

static void close_it(struct world *world)
{
    db_free(TAKE(world->db));
}

/* The process was ended: what the next one finds. */
static int look_after_abort(void *ctx)
{
    struct world *world = ctx;
    struct err err = {0};
    int result;

    if (open_it(world, &err) < 0) {
        complain(world, "after the abort it can't be opened", &err);
        return -1;
    }
    result = look(world);
    close_it(world);
    return result;
}

/* --- One try ------------------------------------------------------------------------------ */

static void new_database(struct world *world)
{
    scoped_str last = path_of(world);

    (void)unlink(last);
    world->promises->databases++;
    world->promises->count = 0;
}

/* A run of its own, as far as the step wants it. */
static int prepare_run(struct world *world, struct err *err)
{
    static int (*const moves[])(struct world *, struct err *) = {launch, claim};

    world->run = id_make(clock_wall_ms(), random_u64());
    if (world->step->go == dispatch)
        return 0;
    if (dispatch(world, err) < 0)
        return -1;
    for (int at = RUN_PENDING; at < (int)world->step->from; at++)
        if (moves[at](world, err) < 0)
            return -1;
    return 0;
}

/* Refused: it may not say that the caller or the file is to blame, and succeeds now. */
static int try_again(struct world *world, struct err *err)
{
    struct err again = {0};

    if (err->kind != ERR_UNAVAILABLE && err->kind != ERR_INTERNAL) {
        complain(world, "a false answer", err);
        return -1;
    }
    if (world->step->go(world, &again) == 0)
        return 0;
    complain(world, "not even with memory", &again);
    return -1;
}

static int try_step(void *ctx, int64_t nth)
{
    struct world *world = ctx;
    const struct step *step = world->step;
    struct err err = {0};
    int result;

    (void)memory_back();
    if (step->anew)
        new_database(world);
    if (!step->opens
        && (open_it(world, &err) < 0 || (!step->looks && prepare_run(world, &err) < 0))) {
        complain(world, "beforehand", &err);
        return -1;
    }
    memory_fail_at(nth, world->lasting);
    result = step->go(world, &err);
    (void)memory_back();
    if (result < 0)
        result = try_again(world, &err);
    if (result == 0 && !step->opens && !step->looks)
        promise(world, step->to);
    if (result == 0)
        result = look(world);
    close_it(world);
    return result;
}

/* A database with a few runs, for those that look at all. */
static int few_runs(struct world *world)
{
    struct err err = {0};

    new_database(world);
    if (open_it(world, &err) < 0)
        return -1;
    for (int i = 0; i < FEW; i++) {
        if (prepare_run(world, &err) < 0)
            return -1;
        promise(world, RUN_PENDING);
    }
    close_it(world);
    return 0;
}

/* What SQLite and OpenSSL make once and keep is there afterwards. */
static int warm_up(void *ctx)
{
    (void)alarm(600);
    return try_step(ctx, 0) == 0 && try_step(ctx, 0) == 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
    struct world world = {.directory = argc > 3 ? argv[3] : NULL};
    struct shortage_seen seen = {0};
    int64_t every = argc > 3 ? atoll(argv[1]) : 0;
    int64_t opening = argc > 3 ? atoll(argv[2]) : 0;

    world.promises = mmap(NULL, sizeof(*world.promises), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (every < 1 || opening < 1 || world.promises == MAP_FAILED) {
        (void)fprintf(stderr, "usage: no_memory_store EVERY OPENING DIRECTORY\n");
        return 2;
    }
    for (size_t i = 0; i < 2 * ARRAY_SIZE(steps); i++) {
        struct shortage_seen before = seen;

        world.step = &steps[i / 2];
        world.lasting = i % 2;
        if (world.step->looks && few_runs(&world) < 0)
            return 1;
        struct shortage shortage = {.name = world.step->name,
                                    .prepare = warm_up,
                                    .run = try_step,
                                    .after_abort = look_after_abort,
                                    .ctx = &world,
                                    .every = world.step->opens ? opening : every,
                                    .lasting = world.lasting};
        shortage_run(&shortage, &seen);
        (void)fprintf(stderr, "%s: %lld tried, %lld aborted\n", world.step->name,
                      (long long)(seen.tried - before.tried),
                      (long long)(seen.aborted - before.aborted));
    }
    printf("{\"steps\": %zu, \"tried\": %lld, \"aborted\": %lld, \"refused\": %lld}\n",
           ARRAY_SIZE(steps), (long long)seen.tried, (long long)seen.aborted,
           (long long)seen.survived);
    return 0;
}
