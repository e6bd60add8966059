/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load generator: the same POST again and again over keep-alive connections to a port of
 * 127.0.0.1, one request at a time on each, all from one thread. It ends after a time or a
 * number of answers, whichever is first, and prints what it saw as one line of JSON.
 *
 *     load --port 5000 --path /dispatchTask --headers FILE --body TEXT [--connections 64]
 *          [--warm-up-ms 200] [--seconds 3] [--answers 10000000]
 *
 * FILE has header lines ("Name: value"), so that a token is in no argv. A run of 16 '#' in a
 * header becomes a number that no other request has. What is answered during the warm-up
 * isn't counted.
 */
#include "histogram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/buf.h"

#define CONNECTIONS_MAX 1024
#define ANSWER_MAX_BYTES 16384
#define REQUEST_MAX_BYTES (256 * 1024)
#define HEADERS_MAX_BYTES 65536
#define BROKEN_MAX 1000 /* connections that broke: then there is nothing to measure */
#define LATE_MS 5000    /* how long the last answers may take */
#define NUMBER_MARK "################"
#define NUMBER_DIGITS 16

struct settings {
    uint16_t port;
    int n_connections;
    int64_t warm_up_ms;
    int64_t seconds;
    int64_t answers_max;
    const char *path;
    const char *headers_file;
    const char *body;
};

struct connection {
    int fd;
    bool waiting; /* for an answer */
    int64_t sent_ns;
    size_t size; /* of what has come of the answer */
    char answer[ANSWER_MAX_BYTES + 1];
};

struct load {
    struct settings settings;
    struct buf request;
    char *number; /* where the mark stands in the request; NULL: nowhere */
    int64_t n_sent;
    int poll_fd;
    struct connection *connections;
    int n_waiting;
    bool counting;
    bool ending;
    int64_t by_status[600];
    int64_t n_broken;
    struct histogram times;
};

static void quit(const char *what)
{
    (void)fprintf(stderr, "load: %s\n", what);
    exit(1);
}

/* --- The request -------------------------------------------------------------------------- */

static void make_request(struct load *load)
{
    const struct settings *settings = &load->settings;
    struct err err = {0};
    scoped_buf headers = {0};

    if (settings->headers_file
        && buf_read_file(&headers, settings->headers_file, HEADERS_MAX_BYTES, &err) < 0)
        quit(err.text);
    buf_printf(&load->request, "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n", settings->path,
               settings->port);
    for (const char *line = headers.size ? headers.data : ""; *line;) {
        size_t size = strcspn(line, "\r\n");

        if (size)
            buf_printf(&load->request, "%.*s\r\n", (int)size, line);
        line += size + strspn(line + size, "\r\n");
    }
    buf_printf(&load->request, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
               strlen(settings->body));
    buf_append_str(&load->request, settings->body);
    if (load->request.size > REQUEST_MAX_BYTES)
        quit("the request is too large");
    load->number = strstr(load->request.data, NUMBER_MARK);
}

static void number_request(struct load *load)
{
    char digits[NUMBER_DIGITS + 1];

    if (!load->number)
        return;
    (void)snprintf(digits, sizeof(digits), "%016" PRId64, load->n_sent);
    memcpy(load->number, digits, NUMBER_DIGITS);
}

/* --- Connections -------------------------------------------------------------------------- */

static void open_connection(struct load *load, struct connection *connection)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons(load->settings.port),
        .sin_addr = {htonl(INADDR_LOOPBACK)},
    };
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    int on = 1;

    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 || connect(connection->fd, (struct sockaddr *)&to, sizeof(to)) < 0
        || setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0
        || epoll_ctl(load->poll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0)
        quit(strerror(errno));
}

static void send_next(struct load *load, struct connection *connection);

static void start_anew(struct load *load, struct connection *connection)
{
    (void)close(connection->fd);
    if (connection->waiting) {
        connection->waiting = false;
        load->n_waiting--;
    }
    if (++load->n_broken > BROKEN_MAX)
        quit("too many connections broke");
    open_connection(load, connection);
    send_next(load, connection);
}

static void send_next(struct load *load, struct connection *connection)
{
    ssize_t sent;

    if (load->ending)
        return;
    number_request(load);
    load->n_sent++;
    connection->size = 0;
    connection->waiting = true;
    load->n_waiting++;
    connection->sent_ns = now_ns();
    /* The socket blocks, and the server has nothing else of ours to read: all of it goes. */
    sent = send(connection->fd, load->request.data, load->request.size, MSG_NOSIGNAL);
    if (sent != (ssize_t)load->request.size)
        start_anew(load, connection);
}

/* --- Answers ------------------------------------------------------------------------------ */

/* The status once the answer is here whole; 0: not yet; -1: it is no answer. */
static int read_status(const struct connection *connection)
{
    const char *body = strstr(connection->answer, "\r\n\r\n");
    const char *length = strcasestr(connection->answer, "\r\nContent-Length:");
    size_t body_size;
    int status;

    if (!body)
        return connection->size < ANSWER_MAX_BYTES ? 0 : -1;
    if (strncmp(connection->answer, "HTTP/1.1 ", 9) != 0 || !length || length > body)
        return -1;
    status = atoi(connection->answer + 9);
    body_size = strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
    if (status < 100 || status > 599 || body_size > ANSWER_MAX_BYTES)
        return -1;
    return connection->size < (size_t)(body + 4 - connection->answer) + body_size ? 0 : status;
}

static void receive(struct load *load, struct connection *connection)
{
    ssize_t count = recv(connection->fd, connection->answer + connection->size,
                         ANSWER_MAX_BYTES - connection->size, 0);
    int status;

    if (count <= 0 || !connection->waiting) {
        start_anew(load, connection);
        return;
    }
    connection->size += (size_t)count;
    connection->answer[connection->size] = '\0';
    status = read_status(connection);
    if (status < 0)
        start_anew(load, connection);
    if (status <= 0)
        return;
    connection->waiting = false;
    load->n_waiting--;
    if (load->counting) {
        load->by_status[status]++;
        histogram_add(&load->times, now_ns() - connection->sent_ns);
    }
    send_next(load, connection);
}

/* --- Running ------------------------------------------------------------------------------ */

static void turn(struct load *load, int64_t until_ns)
{
    struct epoll_event events[CONNECTIONS_MAX];
    int64_t left_ms = (until_ns - now_ns()) / 1000000;
    int n =
        epoll_wait(load->poll_fd, events, CONNECTIONS_MAX, left_ms < 0 ? 0 : (int)left_ms + 1);

    for (int i = 0; i < n; i++)
        receive(load, events[i].data.ptr);
}

/* Returns the seconds that were measured. */
static double run(struct load *load)
{
    const struct settings *settings = &load->settings;
    int64_t started_ns;
    int64_t until_ns = now_ns() + settings->warm_up_ms * 1000000;

    for (int i = 0; i < settings->n_connections; i++)
        open_connection(load, &load->connections[i]);
    for (int i = 0; i < settings->n_connections; i++)
        send_next(load, &load->connections[i]);
    while (now_ns() < until_ns)
        turn(load, until_ns);
    load->counting = true;
    started_ns = now_ns();
    until_ns = started_ns + settings->seconds * 1000000000;
    while (now_ns() < until_ns && load->times.total < (uint64_t)settings->answers_max)
        turn(load, until_ns);
    load->counting = false;
    return (double)(now_ns() - started_ns) / 1e9;
}

/* What is still under way is waited for, so that the server stops without a broken request. */
static void end(struct load *load)
{
    int64_t until_ns = now_ns() + (int64_t)LATE_MS * 1000000;

    load->ending = true;
    while (load->n_waiting && now_ns() < until_ns)
        turn(load, until_ns);
    for (int i = 0; i < load->settings.n_connections; i++)
        (void)close(load->connections[i].fd);
}

static void print(const struct load *load, double seconds)
{
    const char *comma = "";

    printf("{\"sent\": %" PRId64 ", \"answers\": %" PRIu64
           ", \"seconds\": %.3f, \"per_s\": %.1f, "
           "\"p50_us\": %" PRId64 ", \"p99_us\": %" PRId64 ", \"longest_us\": %" PRId64
           ", \"broken\": %" PRId64 ", \"late\": %d, \"status\": {",
           load->n_sent, load->times.total, seconds, (double)load->times.total / seconds,
           histogram_at(&load->times, 0.5), histogram_at(&load->times, 0.99),
           load->times.longest_us, load->n_broken, load->n_waiting);
    for (int status = 100; status < 600; status++)
        if (load->by_status[status]) {
            printf("%s\"%d\": %" PRId64, comma, status, load->by_status[status]);
            comma = ", ";
        }
    printf("}}\n");
}

/* --- Settings ----------------------------------------------------------------------------- */

static int64_t number(const char *name, const char *text, int64_t least, int64_t most)
{
    char *end;
    int64_t value = strtoll(text, &end, 10);

    if (end != text && !*end && value >= least && value <= most)
        return value;
    (void)fprintf(stderr, "load: %s: expected a whole number from %" PRId64 " to %" PRId64 "\n",
                  name, least, most);
    exit(1);
}

static void read_settings(struct settings *settings, char *const *argv)
{
    for (; *argv && argv[1]; argv += 2) {
        const char *value = argv[1];

        if (strcmp(*argv, "--port") == 0)
            settings->port = (uint16_t)number(*argv, value, 1, UINT16_MAX);
        else if (strcmp(*argv, "--connections") == 0)
            settings->n_connections = (int)number(*argv, value, 1, CONNECTIONS_MAX);
        else if (strcmp(*argv, "--warm-up-ms") == 0)
            settings->warm_up_ms = number(*argv, value, 0, 60000);
        else if (strcmp(*argv, "--seconds") == 0)
            settings->seconds = number(*argv, value, 1, 600);
        else if (strcmp(*argv, "--answers") == 0)
            settings->answers_max = number(*argv, value, 1, 100000000);
        else if (strcmp(*argv, "--path") == 0)
            settings->path = value;
        else if (strcmp(*argv, "--headers") == 0)
            settings->headers_file = value;
        else if (strcmp(*argv, "--body") == 0)
            settings->body = value;
        else
            quit("there is no such option: see the top of load.c");
    }
    if (*argv || !settings->port)
        quit("--port is needed, and each option takes a value");
}

int main(int argc, char **argv)
{
    static struct load load = {
        .settings = {.n_connections = 64,
                     .warm_up_ms = 200,
                     .seconds = 3,
                     .answers_max = 10000000,
                     .path = "/",
                     .body = "{}"},
    };
    double seconds;

    read_settings(&load.settings, argv + (argc > 0));
    make_request(&load);
    histogram_init(&load.times);
    load.connections = xcalloc((size_t)load.settings.n_connections, sizeof(struct connection));
    load.poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (load.poll_fd < 0)
        quit(strerror(errno));
    seconds = run(&load);
    end(&load);
    print(&load, seconds);
    (void)close(load.poll_fd);
    free(load.connections);
    histogram_done(&load.times);
    buf_done(&load.request);
    return 0;
}
