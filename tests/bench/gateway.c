/* SPDX-License-Identifier: Apache-2.0 */
/* What the model gateway costs a request: the same request to the same server on loopback,
 * directly and through the gateway, in turns, so that whatever else the machine does falls on
 * both alike. Prints a table; exits 1 when the median costs GATEWAY_BENCH_MAX_US (2000) or
 * more.
 *
 *     build/bench/gateway [ROUNDS]        of each row; 1000 */
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "gateway/gateway.h"

#define ROUNDS 1000
#define ROUNDS_MAX 100000
#define WARM_UP 50
#define JSON_END "\"the-end\"}"
#define CHUNKS_END "\r\n0\r\n\r\n"

struct row {
    const char *name;
    size_t request_bytes;
    const char *end;    /* of its answer */
    const char *answer; /* whole, with its head */
};

/* --- The model server: each request names its row ----------------------------------------- */

static const struct row *rows;
static int server_fd;

static int must(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

static void send_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        data += sent;
        size -= (size_t)sent;
    }
}

/* A whole request into `got`; false at the end. */
static bool read_request(int fd, struct buf *got)
{
    char piece[65536];
    size_t need = SIZE_MAX;

    buf_clear(got);
    while (got->size < need) {
        ssize_t size = recv(fd, piece, sizeof(piece), 0);
        const char *body;
        const char *length;

        if (size <= 0)
            return false;
        buf_append(got, piece, (size_t)size);
        body = need == SIZE_MAX ? strstr(got->data, "\r\n\r\n") : NULL;
        if (!body)
            continue;
        length = strcasestr(got->data, "content-length:");
        need = (size_t)(body + 4 - got->data) + (length ? strtoul(length + 15, NULL, 10) : 0);
    }
    return true;
}

static void *serve_connection(void *ctx)
{
    int fd = (int)(intptr_t)ctx;
    scoped_buf got = {0};

    while (read_request(fd, &got)) {
        const char *number = strstr(got.data, "x-stainless-row: ");
        const struct row *row = &rows[number ? strtol(number + 17, NULL, 10) : 0];

        send_all(fd, row->answer, strlen(row->answer));
    }
    (void)close(fd);
    return NULL;
}

static void *serve(void *ctx)
{
    int fd;

    (void)ctx;
    while ((fd = accept4(server_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        int one = 1;
        pthread_t thread;

        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (pthread_create(&thread, NULL, serve_connection, (void *)(intptr_t)fd) == 0)
            (void)pthread_detach(thread);
    }
    return NULL;
}

static int start_server(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    pthread_t thread;

    server_fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    (void)must(bind(server_fd, (struct sockaddr *)&address, size), "bind");
    (void)must(listen(server_fd, 16), "listen");
    (void)must(getsockname(server_fd, (struct sockaddr *)&address, &size), "getsockname");
    (void)must(-pthread_create(&thread, NULL, serve, NULL), "pthread_create");
    (void)pthread_detach(thread);
    return ntohs(address.sin_port);
}

/* --- The agent ---------------------------------------------------------------------------- */

static int64_t now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    int one = 1;

    (void)must(connect(fd, (struct sockaddr *)&address, sizeof(address)), "connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static char *request_text(size_t row, const char *path, const char *key)
{
    struct buf text = {0};
    size_t size = rows[row].request_bytes;

    buf_printf(&text,
               "POST %s HTTP/1.1\r\nHost: x\r\nx-api-key: %s\r\nx-stainless-row: %zu\r\n"
               "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
               path, key, row, size);
    for (size_t i = 0; i < size; i++)
        buf_append(&text, "x", 1);
    return buf_take(&text);
}

/* One request and its whole answer. */
static void call(int fd, const char *request, const char *end, int64_t *out_first_us,
                 int64_t *out_all_us)
{
    char piece[65536 + 1];
    scoped_buf tail = {0};
    int64_t began_us = now_us();

    *out_first_us = 0;
    send_all(fd, request, strlen(request));
    while (!tail.data || !strstr(tail.data, end)) {
        ssize_t got = recv(fd, piece, sizeof(piece) - 1, 0);

        if (got <= 0) {
            (void)fprintf(stderr, "the answer ended early\n");
            exit(1);
        }
        if (!*out_first_us)
            *out_first_us = now_us() - began_us;
        buf_append(&tail, piece, (size_t)got);
        if (tail.size > 200)
            buf_drop_front(&tail, tail.size - 200);
    }
    *out_all_us = now_us() - began_us;
}

/* --- The table ---------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static int64_t at(const int64_t *sorted, int n, int percent)
{
    return sorted[(int64_t)(n - 1) * percent / 100];
}

struct samples {
    int64_t *first;
    int64_t *all;
};

static void measure(int fd, size_t row, const char *path, const char *key, int round,
                    struct samples *samples)
{
    scoped_str request = request_text(row, path, key);
    int64_t first;
    int64_t all;

    call(fd, request, rows[row].end, &first, &all);
    if (round < 0)
        return;
    samples->first[round] = first;
    samples->all[round] = all;
}

/* The median's cost in microseconds. */
static int64_t run_row(size_t row, int n, int direct_fd, int gateway_fd, const char *key)
{
    struct samples direct = {xcalloc((size_t)n, 8), xcalloc((size_t)n, 8)};
    struct samples through = {xcalloc((size_t)n, 8), xcalloc((size_t)n, 8)};
    int64_t cost;

    for (int round = -WARM_UP; round < n; round++) {
        measure(direct_fd, row, "/v1/messages", "k", round, &direct);
        measure(gateway_fd, row, "/anthropic/v1/messages", key, round, &through);
    }
    qsort(direct.first, (size_t)n, 8, compare);
    qsort(direct.all, (size_t)n, 8, compare);
    qsort(through.first, (size_t)n, 8, compare);
    qsort(through.all, (size_t)n, 8, compare);
    cost = at(through.all, n, 50) - at(direct.all, n, 50);
    (void)printf("%-34s | %8" PRId64 " %8" PRId64 " %8" PRId64 " | %8" PRId64 " %8" PRId64
                 " | %8" PRId64 " %8" PRId64 "\n",
                 rows[row].name, at(direct.all, n, 50), at(through.all, n, 50), cost,
                 at(direct.all, n, 99), at(through.all, n, 99), at(direct.first, n, 50),
                 at(through.first, n, 50));
    free(direct.first);
    free(direct.all);
    free(through.first);
    free(through.all);
    return cost;
}

static char *whole_answer(size_t text_bytes)
{
    scoped_buf body = {0};

    buf_append_str(&body, "{\"model\":\"claude-sonnet-4-5\",\"content\":[{\"text\":\"");
    for (size_t i = 0; i < text_bytes; i++)
        buf_append(&body, "x", 1);
    buf_append_str(&body,
                   "\"}],\"usage\":{\"input_tokens\":1,\"output_tokens\":1},\"x\":" JSON_END);
    return xasprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     body.size, body.data);
}

static char *streamed_answer(int events)
{
    static const char event[] =
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"a few words of it\"}}\n\n";
    static const char last[] = "data: {\"usage\":{\"output_tokens\":9},\"x\":" JSON_END "\n\n";
    struct buf text = {0};

    buf_append_str(&text, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < events; i++)
        buf_printf(&text, "%zx\r\n%s\r\n", strlen(event), event);
    buf_printf(&text, "%zx\r\n%s\r\n0\r\n\r\n", strlen(last), last);
    return buf_take(&text);
}

static struct gateway *start_gateway(int port, struct model_keys *keys)
{
    scoped_str url = xasprintf("http://127.0.0.1:%d", port);
    struct gateway_options options = {.keys = keys};
    struct err err = {0};
    struct gateway *gateway;

    (void)setenv("ANTHROPIC_BASE_URL", url, 1);
    (void)setenv("ANTHROPIC_API_KEY", "sk-ant-bench-0123456789", 1);
    gateway = model_keys_take(keys, &err) < 0 ? NULL : gateway_start(&options, &err);
    if (!gateway) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return gateway;
}

static long rss_kib(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

int main(int argc, char **argv)
{
    scoped_str small = whole_answer(500);
    scoped_str large = whole_answer(20000);
    scoped_str streamed = streamed_answer(200);
    struct row all[] = {
        {"2 KB request, 500 B answer", 2000, JSON_END, small},
        {"200 KB request, 20 KB answer", 200000, JSON_END, large},
        {"50 KB request, 200 events", 50000, CHUNKS_END, streamed},
    };
    const char *limit_text = getenv("GATEWAY_BENCH_MAX_US");
    long limit = limit_text ? strtol(limit_text, NULL, 10) : 2000;
    long n = argc > 1 ? strtol(argv[1], NULL, 10) : ROUNDS;
    struct model_keys keys;
    struct gateway *gateway;
    bool good = true;
    int direct_fd;
    int gateway_fd;
    int port;

    if (n < 1 || n > ROUNDS_MAX || argc > 2) {
        (void)fprintf(stderr, "usage: gateway [ROUNDS]\n");
        return 2;
    }
    json_setup();
    rows = all;
    port = start_server();
    gateway = start_gateway(port, &keys);
    direct_fd = connect_to(port);
    gateway_fd =
        connect_to((int)strtol(strrchr(gateway_url(gateway, "anthropic"), ':') + 1, NULL, 10));
    (void)printf(
        "The model gateway beside direct calls, %ld requests a row, in microseconds\n\n"
        "%-34s | %26s | %17s | %17s\n%-34s | %8s %8s %8s | %8s %8s | %8s %8s\n",
        n, "", "median", "p99", "first byte", "", "direct", "gateway", "cost", "direct",
        "gateway", "direct", "gateway");
    for (size_t row = 0; row < ARRAY_SIZE(all); row++)
        good &=
            run_row(row, (int)n, direct_fd, gateway_fd, gateway_access(gateway).key) < limit;
    (void)printf("\nat most %ld us: %s; this process, server and agent included: %ld KiB\n",
                 limit, good ? "yes" : "NO", rss_kib());
    (void)close(direct_fd);
    (void)close(gateway_fd);
    gateway_free(gateway);
    model_keys_done(&keys);
    return !good;
}
