/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dispatchd is measured against: the least that libmicrohttpd and SQLite can do for the
 * same requests, without the product around it.
 *
 *     floor handler            POST: reads the body, answers a constant; stores nothing
 *     floor insert DIR SECONDS [ROWS]   rows like runs, ROWS (64) to a durable commit
 *     floor both DIR           POST: reads body and token, makes a run, answers when a writer's
 *                              thread has committed it together with what else had arrived
 *
 * A server prints its port and serves 127.0.0.1 until its standard input ends. It holds no
 * limits and no clients to account: a prototype, for the bench alone.
 */
#include "floor_store.h"
#include "histogram.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "crypto/random.h"
#include "json/json.h"

#define BODY_MAX_BYTES 4096
#define BATCH_MAX 512
#define CONNECTIONS_MAX 1024
#define ROWS_DEFAULT 64
#define PROMPT_BYTES 120

static void quit(const char *what, const char *why)
{
    (void)fprintf(stderr, "floor: %s: %s\n", what, why);
    exit(1);
}

/* --- Inserts alone ------------------------------------------------------------------------ */

static int run_inserts(const char *dir, int64_t seconds, int64_t rows)
{
    int64_t until_ns = now_ns() + seconds * 1000000000;
    int64_t started_ns = now_ns();
    int64_t n_rows = 0;
    char prompt[PROMPT_BYTES];
    struct histogram times;
    struct store store;

    histogram_init(&times);
    store_init(&store, dir);
    memset(prompt, 'p', sizeof(prompt));
    while (now_ns() < until_ns) {
        int64_t began_ns = now_ns();

        step(&store, store.begin);
        for (int64_t i = 0; i < rows; i++) {
            struct row row = {.id = id_make(clock_wall_ms(), (uint64_t)n_rows++),
                              .prompt = prompt,
                              .prompt_size = sizeof(prompt)};

            store_insert(&store, &row);
        }
        step(&store, store.commit);
        histogram_add(&times, now_ns() - began_ns);
        store_checkpoint(&store);
    }
    printf("{\"answers\": %" PRId64 ", \"per_s\": %.1f, \"p50_us\": %" PRId64
           ", \"p99_us\": %" PRId64 "}\n",
           n_rows, (double)n_rows * 1e9 / (double)(now_ns() - started_ns),
           histogram_at(&times, 0.5), histogram_at(&times, 0.99));
    store_done(&store);
    histogram_done(&times);
    return 0;
}

/* --- Requests ----------------------------------------------------------------------------- */

struct floor;

/* One request: on the HTTP thread until it is handed to the writer, and again once resumed. */
struct arrival {
    struct floor *floor;
    struct arrival *next;
    struct MHD_Connection *mhd;
    cJSON *document; /* holds the prompt */
    struct row row;
    bool stored;
    size_t size;
    char body[BODY_MAX_BYTES];
};

struct floor {
    bool stores;
    uint8_t token_hash[SHA256_SIZE]; /* of the one token that is known */
    struct store store;
    pthread_t writer;
    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t work;
    struct arrival *first;
    struct arrival **last;
    bool closing;
};

static enum MHD_Result answer(struct MHD_Connection *mhd, unsigned status, const char *text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result queued;

    (void)MHD_add_response_header(response, "Content-Type", "application/json");
    queued = MHD_queue_response(mhd, status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result answer_stored(struct arrival *arrival)
{
    char id[ID_TEXT_SIZE];
    char text[64];

    id_text(arrival->row.id, id);
    (void)snprintf(text, sizeof(text), "{\"runId\":\"%s\"}", id);
    return answer(arrival->mhd, MHD_HTTP_OK, text);
}

/* Is it our token? Its hash is looked up, as the product has to. */
static bool authorized(const struct floor *floor, struct MHD_Connection *mhd)
{
    const char *value = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, "Authorization");
    uint8_t hash[SHA256_SIZE];

    if (!value || strncmp(value, "Bearer ", 7) != 0)
        return false;
    sha256(value + 7, strlen(value + 7), hash);
    return bytes_equal(hash, floor->token_hash, sizeof(hash));
}

/* Parses, and makes the run with its task token. */
static bool make_row(struct arrival *arrival)
{
    char token[RANDOM_BASE62_LENGTH + 1];
    const cJSON *prompt;

    arrival->document = cJSON_ParseWithLength(arrival->body, arrival->size);
    prompt = cJSON_GetObjectItemCaseSensitive(arrival->document, "prompt");
    if (!cJSON_IsString(prompt))
        return false;
    random_base62(token);
    sha256(token, strlen(token), arrival->row.token_hash);
    arrival->row.id = id_make(clock_wall_ms(), random_u64());
    arrival->row.prompt = prompt->valuestring;
    arrival->row.prompt_size = strlen(prompt->valuestring);
    return true;
}

static void hand_in(struct arrival *arrival)
{
    struct floor *floor = arrival->floor;

    MHD_suspend_connection(arrival->mhd);
    (void)pthread_mutex_lock(&floor->lock);
    if (!floor->first)
        (void)pthread_cond_signal(&floor->work);
    *floor->last = arrival;
    floor->last = &arrival->next;
    (void)pthread_mutex_unlock(&floor->lock);
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *mhd, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **slot)
{
    struct arrival *arrival = *slot;

    (void)url;
    (void)version;
    if (!arrival) {
        *slot = arrival = malloc(sizeof(*arrival));
        if (!arrival || strcmp(method, "POST") != 0)
            return MHD_NO;
        memset(arrival, 0, offsetof(struct arrival, body));
        arrival->floor = cls;
        arrival->mhd = mhd;
        return MHD_YES;
    }
    if (*upload_size) {
        if (*upload_size > BODY_MAX_BYTES - arrival->size)
            return MHD_NO;
        memcpy(arrival->body + arrival->size, upload, *upload_size);
        arrival->size += *upload_size;
        *upload_size = 0;
        return MHD_YES;
    }
    if (!arrival->floor->stores)
        return answer(mhd, MHD_HTTP_OK, "{\"runId\":\"00000000000000000000\"}");
    if (arrival->stored)
        return answer_stored(arrival);
    if (!authorized(arrival->floor, mhd))
        return answer(mhd, MHD_HTTP_UNAUTHORIZED, "{}");
    if (!make_row(arrival))
        return answer(mhd, MHD_HTTP_BAD_REQUEST, "{}");
    hand_in(arrival);
    return MHD_YES;
}

static void request_done(void *cls, struct MHD_Connection *mhd, void **slot,
                         enum MHD_RequestTerminationCode how)
{
    struct arrival *arrival = *slot;

    (void)cls;
    (void)mhd;
    (void)how;
    if (arrival)
        cJSON_Delete(arrival->document);
    free(arrival);
}

/* --- The writer --------------------------------------------------------------------------- */

static struct arrival *take_batch(struct floor *floor)
{
    struct arrival *batch;
    struct arrival **end = &batch;

    (void)pthread_mutex_lock(&floor->lock);
    while (!floor->first && !floor->closing)
        (void)pthread_cond_wait(&floor->work, &floor->lock);
    batch = floor->first;
    for (int size = 0; *end && size < BATCH_MAX; size++)
        end = &(*end)->next;
    floor->first = *end;
    *end = NULL;
    if (!floor->first)
        floor->last = &floor->first;
    (void)pthread_mutex_unlock(&floor->lock);
    return batch;
}

static void *write_batches(void *arg)
{
    struct floor *floor = arg;
    struct store *store = &floor->store;
    struct arrival *batch;

    while ((batch = take_batch(floor))) {
        step(store, store->begin);
        for (struct arrival *arrival = batch; arrival; arrival = arrival->next)
            store_insert(store, &arrival->row);
        step(store, store->commit);
        while (batch) {
            struct arrival *arrival = batch;

            batch = arrival->next; /* it is gone soon after it is resumed */
            arrival->stored = true;
            MHD_resume_connection(arrival->mhd);
        }
        store_checkpoint(store);
    }
    return NULL;
}

static void start_writer(struct floor *floor, const char *dir)
{
    const char *token = getenv("BENCH_TOKEN");

    if (!token)
        quit("both", "the token that clients show is expected in BENCH_TOKEN");
    sha256(token, strlen(token), floor->token_hash);
    floor->stores = true;
    floor->last = &floor->first;
    store_init(&floor->store, dir);
    (void)pthread_mutex_init(&floor->lock, NULL);
    (void)pthread_cond_init(&floor->work, NULL);
    if (pthread_create(&floor->writer, NULL, write_batches, floor))
        quit("both", "there is no thread for the writer");
}

static void stop_writer(struct floor *floor)
{
    (void)pthread_mutex_lock(&floor->lock);
    floor->closing = true;
    (void)pthread_cond_signal(&floor->work);
    (void)pthread_mutex_unlock(&floor->lock);
    (void)pthread_join(floor->writer, NULL);
    store_done(&floor->store);
}

/* --- Serving ------------------------------------------------------------------------------ */

static int serve(const char *dir)
{
    struct floor floor = {0};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct MHD_Daemon *daemon;
    char byte;

    if (dir)
        start_writer(&floor, dir);
    daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
        NULL, handle, &floor, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_MAX, MHD_OPTION_NOTIFY_COMPLETED, request_done, &floor,
        MHD_OPTION_END);
    if (!daemon)
        quit("libmicrohttpd", "it doesn't start");
    printf("%d\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    if (dir)
        stop_writer(&floor);
    MHD_stop_daemon(daemon);
    return 0;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";

    if (strcmp(mode, "handler") == 0 && argc == 2)
        return serve(NULL);
    if (strcmp(mode, "both") == 0 && argc == 3)
        return serve(argv[2]);
    if (strcmp(mode, "insert") == 0 && (argc == 4 || argc == 5)) {
        int64_t seconds = strtoll(argv[3], NULL, 10);
        int64_t rows = argc == 5 ? strtoll(argv[4], NULL, 10) : ROWS_DEFAULT;

        if (seconds > 0 && rows > 0)
            return run_inserts(argv[2], seconds, rows);
    }
    (void)fputs("usage: floor handler | floor insert DIR SECONDS [ROWS] | floor both DIR\n",
                stderr);
    return 1;
}
