/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power is cut while runs are stored: a SQLite VFS keeps, beside each file, what of it
 * would be on the disk, and what was written since the last sync. A cut takes the former and of
 * the latter whatever a disk might have got around to, in any order, whole or torn at a sector;
 * it is opened as a database of its own, which must be sound and have every run that was
 * acknowledged before the cut, in a state no earlier than the acknowledged one.
 *
 *     power_cut CUTS DIRECTORY [--synchronous-off]
 *
 * One line of JSON and exit code 0; 3 when acknowledged runs were lost, 1 for whatever else.
 * With the flag SQLite syncs nothing, and runs have to be lost: then this program sees a loss.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "crypto/random.h"
#include "store/run_store.h"

#define SECTOR_BYTES 512
#define IMAGES_MAX 8
#define WORKERS 4
#define CUTS_A_ROUND 50 /* then the database begins anew, or looking at it takes too long */
#define WRITES_UNTIL_CUT 200
#define CHECKPOINT_CUTS 10 /* one of so many is within a checkpoint */
#define EXIT_LOST 3

static void quit(const char *what, const char *why)
{
    (void)fprintf(stderr, "power_cut: %s: %s\n", what, why);
    exit(1);
}

/* --- The disk ----------------------------------------------------------------------------- */

/* A write, or with `bytes` NULL a truncation to `at`. */
struct piece {
    struct piece *next;
    size_t at;
    size_t size;
    char *bytes;
};

struct image {
    char *path;
    char *synced; /* what is on the disk for certain */
    size_t size;
    struct piece *first; /* what may be */
    struct piece *last;
};

static struct disk {
    pthread_mutex_t lock;
    char *directory; /* whose files are watched; NULL: none */
    struct image images[IMAGES_MAX];
    int n_images;
    const char *cut_to;  /* the power is to be cut, into this directory; NULL: it isn't */
    size_t cut_after;    /* so many writes more */
    bool cut_checkpoint; /* and then in one of the database file itself */
    pthread_cond_t cut;
    int64_t syncs;
    int64_t caught;        /* cuts that met writes that weren't synced */
    int64_t in_checkpoint; /* of these, in the database file itself */
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .cut = PTHREAD_COND_INITIALIZER};

static void resize(struct image *image, size_t size)
{
    image->synced = xrealloc(image->synced, size + 1);
    if (size > image->size)
        memset(image->synced + image->size, 0, size - image->size);
    image->size = size;
}

static void apply(struct image *image, const struct piece *piece, size_t size)
{
    if (!piece->bytes) {
        resize(image, piece->at);
        return;
    }
    if (piece->at + size > image->size)
        resize(image, piece->at + size);
    memcpy(image->synced + piece->at, piece->bytes, size);
}

static void drop_pieces(struct image *image)
{
    while (image->first) {
        struct piece *piece = image->first;

        image->first = piece->next;
        free(piece->bytes);
        free(piece);
    }
    image->last = NULL;
}

static void load_image(struct image *image)
{
    FILE *file = fopen(image->path, "rb");
    struct stat about;

    if (!file || fstat(fileno(file), &about) < 0)
        quit(image->path, "can't be read");
    resize(image, (size_t)about.st_size);
    if (fread(image->synced, 1, image->size, file) != image->size)
        quit(image->path, "was read in part");
    (void)fclose(file);
}

/* NULL: it isn't watched. Under the lock. */
static struct image *image_of(const char *path, bool make)
{
    size_t length = disk.directory ? strlen(disk.directory) : 0;

    if (!length || !path || strncmp(path, disk.directory, length) != 0 || path[length] != '/'
        || strstr(path, "-shm"))
        return NULL;
    for (int i = 0; i < disk.n_images; i++)
        if (strcmp(disk.images[i].path, path) == 0)
            return &disk.images[i];
    if (!make)
        return NULL;
    if (disk.n_images == IMAGES_MAX)
        quit(path, "more files than there may be");
    disk.images[disk.n_images].path = xstrdup(path);
    load_image(&disk.images[disk.n_images]);
    return &disk.images[disk.n_images++];
}

static void forget_images(void)
{
    for (int i = 0; i < disk.n_images; i++) {
        drop_pieces(&disk.images[i]);
        free(disk.images[i].synced);
        free(disk.images[i].path);
    }
    memset(disk.images, 0, sizeof(disk.images));
    disk.n_images = 0;
}

/* --- The VFS ------------------------------------------------------------------------------ */

struct watched {
    sqlite3_file base;
    struct image *image; /* NULL: not watched */
    sqlite3_file *real;
};

static sqlite3_vfs *below;
static bool without_syncs;

static void maybe_cut(const struct image *written);

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct watched *)file)->real;
}

static void add_piece(sqlite3_file *file, const void *bytes, size_t size, size_t at)
{
    struct image *image = ((struct watched *)file)->image;
    struct piece *piece;

    if (!image)
        return;
    piece = xcalloc(1, sizeof(*piece));
    *piece = (struct piece){.at = at, .size = size};
    if (bytes) {
        piece->bytes = xcalloc(1, size);
        memcpy(piece->bytes, bytes, size);
    }
    (void)pthread_mutex_lock(&disk.lock);
    *(image->last ? &image->last->next : &image->first) = piece;
    image->last = piece;
    maybe_cut(image);
    (void)pthread_mutex_unlock(&disk.lock);
}

static int close_file(sqlite3_file *file)
{
    int code = real_of(file)->pMethods->xClose(real_of(file));

    free(real_of(file));
    return code;
}

static int read_file(sqlite3_file *file, void *out, int size, sqlite3_int64 at)
{
    return real_of(file)->pMethods->xRead(real_of(file), out, size, at);
}

static int write_file(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 at)
{
    add_piece(file, bytes, (size_t)size, (size_t)at);
    return real_of(file)->pMethods->xWrite(real_of(file), bytes, size, at);
}

static int truncate_file(sqlite3_file *file, sqlite3_int64 size)
{
    add_piece(file, NULL, 0, (size_t)size);
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

/* The real one isn't synced: what is on its disk is no matter here. */
static int sync_file(sqlite3_file *file, int flags)
{
    struct image *image = ((struct watched *)file)->image;

    (void)flags;
    if (!image)
        return SQLITE_OK;
    (void)pthread_mutex_lock(&disk.lock);
    for (const struct piece *piece = image->first; piece; piece = piece->next)
        apply(image, piece, piece->size);
    drop_pieces(image);
    disk.syncs++;
    (void)pthread_mutex_unlock(&disk.lock);
    return SQLITE_OK;
}

static int size_of_file(sqlite3_file *file, sqlite3_int64 *out)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), out);
}

static int lock_file(sqlite3_file *file, int how)
{
    return real_of(file)->pMethods->xLock(real_of(file), how);
}

static int unlock_file(sqlite3_file *file, int how)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), how);
}

static int is_reserved(sqlite3_file *file, int *out)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}

/* The store's own wish is passed over where nothing is to be synced. */
static int control_file(sqlite3_file *file, int what, void *about)
{
    char *const *words = about;

    if (without_syncs && what == SQLITE_FCNTL_PRAGMA && strcasecmp(words[1], "synchronous") == 0
        && words[2] && strcasecmp(words[2], "FULL") == 0)
        return SQLITE_OK;
    return real_of(file)->pMethods->xFileControl(real_of(file), what, about);
}

static int sector_size(sqlite3_file *file)
{
    (void)file;
    return SECTOR_BYTES;
}

/* None but those of any disk: a sector that isn't written stays as it was. */
static int characteristics(sqlite3_file *file)
{
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int map_shared(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}

static int lock_shared(sqlite3_file *file, int offset, int n, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void shared_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int unmap_shared(sqlite3_file *file, int delete_too)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete_too);
}

static const sqlite3_io_methods watched_methods = {
    .iVersion = 2,
    .xClose = close_file,
    .xRead = read_file,
    .xWrite = write_file,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = size_of_file,
    .xLock = lock_file,
    .xUnlock = unlock_file,
    .xCheckReservedLock = is_reserved,
    .xFileControl = control_file,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = map_shared,
    .xShmLock = lock_shared,
    .xShmBarrier = shared_barrier,
    .xShmUnmap = unmap_shared,
};

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                     int *out_flags)
{
    struct watched *watched = (struct watched *)file;
    int code;

    (void)vfs;
    *watched = (struct watched){.real = xcalloc(1, (size_t)below->szOsFile)};
    code = below->xOpen(below, name, watched->real, flags, out_flags);
    if (code != SQLITE_OK) {
        free(TAKE(watched->real));
        return code;
    }
    watched->base.pMethods = &watched_methods;
    (void)pthread_mutex_lock(&disk.lock);
    watched->image = image_of(name, true);
    (void)pthread_mutex_unlock(&disk.lock);
    return SQLITE_OK;
}

static int turn_syncs_off(sqlite3 *database, const char **out_error, const void *api)
{
    (void)out_error;
    (void)api;
    return sqlite3_exec(database, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
}

static void put_vfs(void)
{
    static sqlite3_vfs vfs;

    below = sqlite3_vfs_find(NULL);
    vfs = *below; /* what isn't replaced is asked of a copy of it */
    vfs.pNext = NULL;
    vfs.zName = "power-cut";
    vfs.szOsFile = (int)sizeof(struct watched);
    vfs.xOpen = open_file;
    if (sqlite3_vfs_register(&vfs, 1) != SQLITE_OK
        || (without_syncs
            && sqlite3_auto_extension((void (*)(void))turn_syncs_off) != SQLITE_OK))
        quit("SQLite", "doesn't take the VFS");
}

/* --- The cut ------------------------------------------------------------------------------ */

enum loss { LOSE_ALL, LOSE_ANY, LOSE_FROM_ONE_ON, LOSE_NONE_BUT_TEAR, N_LOSSES };

static size_t below_n(size_t n)
{
    return (size_t)(random_u64() % n);
}

/* What the disk has got of a piece: some sectors of it, from its start. */
static size_t torn(const struct piece *piece)
{
    return below_n(piece->size / SECTOR_BYTES + 1) * SECTOR_BYTES;
}

static void lose(struct image *copy, const struct piece *pieces, size_t n_pieces)
{
    enum loss loss = (enum loss)below_n(N_LOSSES);
    size_t from = n_pieces ? below_n(n_pieces + 1) : 0;
    size_t i = 0;

    if (loss == LOSE_ALL)
        return;
    for (const struct piece *piece = pieces; piece; piece = piece->next, i++) {
        bool is_last = loss == LOSE_FROM_ONE_ON ? i == from : i + 1 == n_pieces;

        if (loss == LOSE_FROM_ONE_ON && i > from)
            return;
        if (loss == LOSE_ANY && below_n(2))
            continue;
        apply(copy, piece,
              is_last || (loss == LOSE_ANY && !below_n(4)) ? torn(piece) : piece->size);
    }
}

static void write_copy(const struct image *copy, const char *to)
{
    const char *name = strrchr(copy->path, '/');
    scoped_str path = xasprintf("%s%s", to, name);
    FILE *file = fopen(path, "wb");

    if (!file || fwrite(copy->synced, 1, copy->size, file) != copy->size || fclose(file) != 0)
        quit(path, "can't be written");
}

static void cut_image(const struct image *image, const char *to)
{
    struct image copy = {.path = image->path};
    size_t n_pieces = 0;

    resize(&copy, image->size);
    memcpy(copy.synced, image->synced, image->size);
    for (const struct piece *piece = image->first; piece; piece = piece->next)
        n_pieces++;
    lose(&copy, image->first, n_pieces);
    write_copy(&copy, to);
    free(copy.synced);
}

/* What is left of the disk now, into another directory. Under the lock. */
static void cut_now(const char *to)
{
    bool caught = false;

    for (int i = 0; i < disk.n_images; i++) {
        const struct image *image = &disk.images[i];

        caught |= image->first != NULL;
        disk.in_checkpoint += image->first && !strstr(image->path, "-wal");
        cut_image(image, to);
    }
    disk.caught += caught;
}

static void maybe_cut(const struct image *written)
{
    if (!disk.cut_to || (disk.cut_after > 0 && disk.cut_after-- > 0)
        || (disk.cut_checkpoint && strstr(written->path, "-wal")))
        return;
    cut_now(disk.cut_to);
    disk.cut_to = NULL;
    (void)pthread_cond_signal(&disk.cut);
}

/* At one of the next writes: most of the time nothing is under way. */
static void cut_power(const char *to)
{
    (void)pthread_mutex_lock(&disk.lock);
    disk.cut_to = to;
    disk.cut_after = below_n(WRITES_UNTIL_CUT);
    disk.cut_checkpoint = !below_n(CHECKPOINT_CUTS);
    while (disk.cut_to)
        (void)pthread_cond_wait(&disk.cut, &disk.lock);
    (void)pthread_mutex_unlock(&disk.lock);
}

/* --- The runs ----------------------------------------------------------------------------- */

struct promise {
    struct id run;
    bool ended;
};

static struct world {
    struct db *db;
    pthread_rwlock_t pause; /* held by who looks at a cut, who must not starve */
    _Atomic bool over;
    pthread_mutex_t lock; /* of what follows */
    struct promise *promises;
    size_t n_promises;
    size_t room;
} world = {.pause = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP,
           .lock = PTHREAD_MUTEX_INITIALIZER};

/* It was acknowledged: from here on it may not be lost. */
static void promise(struct id run, bool ended)
{
    (void)pthread_mutex_lock(&world.lock);
    if (world.n_promises == world.room) {
        world.room = world.room ? world.room * 2 : 1024;
        world.promises = xrealloc(world.promises, world.room * sizeof(*world.promises));
    }
    world.promises[world.n_promises++] = (struct promise){run, ended};
    (void)pthread_mutex_unlock(&world.lock);
}

static int insert(struct db_conn *conn, void *ctx, struct err *err)
{
    const struct idempotency none = {0};
    struct id existing;

    return run_store_insert(conn, ctx, &none, &existing, err);
}

static void end_run(struct id id)
{
    static const uint8_t hash[SHA256_SIZE] = {1};
    struct run_end end = {.status = RUN_COMPLETED};
    int64_t now_ms = clock_wall_ms();
    enum run_status from;
    struct err err = {0};
    int attempt;

    if (run_store_launch(world.db, id, "fake", hash, now_ms + 60000, &attempt, &err) < 0
        || run_store_claim(world.db, id, 1, "r", now_ms, now_ms + 60000, NULL, &err) < 0
        || run_store_end(world.db, id, 1, &end, now_ms, &from, &err) < 0)
        quit("ending a run", err.text);
    promise(id, true);
}

static void add_run(void)
{
    static char repo[] = "octo/hello";
    static char agent[] = "command";
    static char prompt[] = "Fix the typo";
    int64_t now_ms = clock_wall_ms();
    struct run run = {.id = id_make(now_ms, random_u64()),
                      .repo = repo,
                      .agent = agent,
                      .prompt = prompt,
                      .deadline_ms = now_ms + 3600000};
    struct err err = {0};

    if (db_write(world.db, insert, &run, &err) < 0)
        quit("storing a run", err.text);
    promise(run.id, false);
    if (below_n(2))
        end_run(run.id);
}

static void *work(void *unused)
{
    (void)unused;
    while (!world.over) {
        (void)pthread_rwlock_rdlock(&world.pause);
        add_run();
        (void)pthread_rwlock_unlock(&world.pause);
    }
    return NULL;
}

/* --- Looking ------------------------------------------------------------------------------ */

static void look_for(struct db *db, const struct promise *promise)
{
    struct err err = {0};
    scoped(run) run = run_store_load(db, promise->run, &err);

    if (run && (!promise->ended || run_status_is_terminal(run->status)))
        return;
    (void)fprintf(stderr, "power_cut: lost: %s\n", run ? "an end" : err.text);
    exit(EXIT_LOST);
}

static void look_at(const char *directory, size_t n_promises)
{
    scoped_str path = xasprintf("%s/dispatch.db", directory);
    struct err err = {0};
    scoped(db) db = db_open(path, &err);

    /* What was never synced has holes, which dispatchd takes for what they are. */
    if (!db && without_syncs) {
        (void)fprintf(stderr, "power_cut: lost: %s\n", err.text);
        exit(EXIT_LOST);
    }
    if (!db || db_check(db, &err) < 0)
        quit("the database after a cut", err.text);
    for (size_t i = 0; i < n_promises; i++)
        look_for(db, &world.promises[i]);
}

static void remove_files(const char *directory)
{
    static const char *const names[] = {"", "-wal", "-shm", "-journal"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        scoped_str path = xasprintf("%s/dispatch.db%s", directory, names[i]);

        (void)unlink(path);
    }
}

static void cut_and_look(const char *to)
{
    size_t n_promises;

    (void)pthread_mutex_lock(&world.lock);
    n_promises = world.n_promises;
    (void)pthread_mutex_unlock(&world.lock);
    cut_power(to);
    (void)pthread_rwlock_wrlock(&world.pause);
    look_at(to, n_promises);
    (void)pthread_rwlock_unlock(&world.pause);
    remove_files(to);
}

/* --- Rounds ------------------------------------------------------------------------------- */

/* Made and closed beforehand, as it lies on the disk when the power comes on. */
static struct db *open_database(const char *directory)
{
    scoped_str path = xasprintf("%s/dispatch.db", directory);
    struct err err = {0};
    struct db *db = db_open(path, &err);

    if (!db)
        quit("a new database", err.text);
    db_free(db);
    disk.directory = xstrdup(directory);
    db = db_open(path, &err);
    if (!db)
        quit("the new database", err.text);
    return db;
}

static size_t run_round(int cuts, const char *directory, const char *to)
{
    pthread_t workers[WORKERS];
    size_t n_promises;

    world.over = false;
    world.db = open_database(directory);
    for (int i = 0; i < WORKERS; i++)
        if (pthread_create(&workers[i], NULL, work, NULL) != 0)
            quit("threads", "there are none");
    for (int i = 0; i < cuts; i++)
        cut_and_look(to);
    world.over = true;
    for (int i = 0; i < WORKERS; i++)
        (void)pthread_join(workers[i], NULL);
    db_free(world.db);
    free(TAKE(disk.directory));
    forget_images();
    remove_files(directory);
    n_promises = world.n_promises;
    world.n_promises = 0;
    return n_promises;
}

static char *make_directory(const char *where, const char *name)
{
    char *path = xasprintf("%s/%s", where, name);

    if (mkdir(path, 0700) < 0)
        quit(path, "can't be made");
    return path;
}

int main(int argc, char **argv)
{
    int cuts = argc > 2 ? atoi(argv[1]) : 0;
    size_t n_promises = 0;

    if (cuts < 1)
        quit("usage", "power_cut CUTS DIRECTORY [--synchronous-off]");
    without_syncs = argc > 3 && strcmp(argv[3], "--synchronous-off") == 0;
    put_vfs();
    scoped_str directory = make_directory(argv[2], "disk");
    scoped_str to = make_directory(argv[2], "after");
    for (int left = cuts; left > 0; left -= CUTS_A_ROUND)
        n_promises += run_round(left < CUTS_A_ROUND ? left : CUTS_A_ROUND, directory, to);
    printf("{\"cuts\": %d, \"promises\": %zu, \"syncs\": %lld, \"caught\": %lld, "
           "\"in_checkpoint\": %lld}\n",
           cuts, n_promises, (long long)disk.syncs, (long long)disk.caught,
           (long long)disk.in_checkpoint);
    free(world.promises);
    return 0;
}
