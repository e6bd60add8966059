/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that launching Jobs takes: as many threads as connections, each with one libcurl
 * handle that posts one document after another and looks at nothing but the status.
 *
 *     kubernetes_floor --server URL --connections N --count N --placeholder TEXT
 *         --post PATH FILE [--post PATH FILE]
 *         [--ca FILE] [--cert FILE --key FILE] [--header FILE] [--first N] [--http1]
 *
 * The documents of the files are posted in their order, `count` times, with a number of the
 * placeholder's length in each place of the placeholder. Prints {"seconds": s, "made": n}.
 */
#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/scoped.h"

#define POSTS_MAX 2
#define THREADS_MAX 256
#define HEADER_MAX 8192
#define DOCUMENT_MAX (1 << 20)

struct post {
    const char *path;
    char *document;
};

static struct {
    const char *server;
    const char *ca;
    const char *cert;
    const char *key;
    const char *placeholder;
    char *header;
    struct post posts[POSTS_MAX];
    int n_posts;
    int connections;
    int64_t count;
    int64_t first;
    bool http1;
} options;

static _Atomic int64_t taken;
static _Atomic int64_t made;

static void quit(const char *what, const char *why)
{
    (void)fprintf(stderr, "kubernetes_floor: %s: %s\n", what, why);
    exit(1);
}

static char *read_text(const char *path, size_t limit)
{
    scoped_file in = fopen(path, "re");
    char *text = xcalloc(1, limit + 1);

    if (!in)
        quit(path, "can't be read");
    text[fread(text, 1, limit, in)] = '\0';
    return text;
}

/* The document with `number` in the places of the placeholder. */
static void fill(char *out, const char *document, int64_t number)
{
    size_t length = strlen(options.placeholder);
    scoped_str digits = xasprintf("%0*lld", (int)length, (long long)number);

    memcpy(out, document, strlen(document) + 1);
    for (char *at = out; (at = strstr(at, options.placeholder)); at += length)
        memcpy(at, digits, length);
}

static size_t drop(char *data, size_t size, size_t count, void *ctx)
{
    (void)data;
    (void)ctx;
    return size * count;
}

#define SET(curl, option, value)                                                               \
    do {                                                                                       \
        if (curl_easy_setopt(curl, option, value) != CURLE_OK)                                 \
            quit("libcurl", #option);                                                          \
    } while (0)

static CURL *make_handle(struct curl_slist *headers)
{
    CURL *curl = curl_easy_init();

    if (!curl)
        quit("libcurl", "no handle");
    SET(curl, CURLOPT_HTTPHEADER, headers);
    SET(curl, CURLOPT_WRITEFUNCTION, drop);
    SET(curl, CURLOPT_NOSIGNAL, 1L);
    SET(curl, CURLOPT_PROXY, "");
    SET(curl, CURLOPT_HTTP_VERSION,
        options.http1 ? (long)CURL_HTTP_VERSION_1_1 : (long)CURL_HTTP_VERSION_2TLS);
    if (options.ca)
        SET(curl, CURLOPT_CAINFO, options.ca);
    if (options.cert)
        SET(curl, CURLOPT_SSLCERT, options.cert);
    if (options.key)
        SET(curl, CURLOPT_SSLKEY, options.key);
    return curl;
}

static void post(CURL *curl, const struct post *wanted, int64_t number, char *space)
{
    scoped_str url = xasprintf("%s%s", options.server, wanted->path);
    long status = 0;
    CURLcode done;

    fill(space, wanted->document, number);
    SET(curl, CURLOPT_URL, url);
    SET(curl, CURLOPT_POSTFIELDS, space);
    SET(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(space));
    done = curl_easy_perform(curl);
    if (done != CURLE_OK)
        quit(url, curl_easy_strerror(done));
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 201) {
        scoped_str why = xasprintf("answered %ld", status);

        quit(url, why);
    }
}

static void *work(void *ctx)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    scoped_str space = xcalloc(1, DOCUMENT_MAX + 1);
    CURL *curl;
    int64_t number;

    (void)ctx;
    if (options.header)
        headers = curl_slist_append(headers, options.header);
    curl = make_handle(headers);
    while ((number = atomic_fetch_add(&taken, 1)) < options.count) {
        for (int i = 0; i < options.n_posts; i++)
            post(curl, &options.posts[i], options.first + number, space);
        atomic_fetch_add(&made, 1);
    }
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    return NULL;
}

static const char *next(char **argv, int *at)
{
    if (!argv[*at + 1])
        quit(argv[*at], "wants a value");
    return argv[++*at];
}

static void read_post(char **argv, int *at)
{
    if (options.n_posts == POSTS_MAX)
        quit("--post", "too many");
    options.posts[options.n_posts].path = next(argv, at);
    options.posts[options.n_posts++].document = read_text(next(argv, at), DOCUMENT_MAX);
}

static void read_options(char **argv)
{
    for (int at = 1; argv[at]; at++) {
        const char *name = argv[at];

        if (strcmp(name, "--server") == 0)
            options.server = next(argv, &at);
        else if (strcmp(name, "--ca") == 0)
            options.ca = next(argv, &at);
        else if (strcmp(name, "--cert") == 0)
            options.cert = next(argv, &at);
        else if (strcmp(name, "--key") == 0)
            options.key = next(argv, &at);
        else if (strcmp(name, "--placeholder") == 0)
            options.placeholder = next(argv, &at);
        else if (strcmp(name, "--header") == 0)
            options.header = read_text(next(argv, &at), HEADER_MAX);
        else if (strcmp(name, "--connections") == 0)
            options.connections = (int)strtol(next(argv, &at), NULL, 10);
        else if (strcmp(name, "--count") == 0)
            options.count = strtoll(next(argv, &at), NULL, 10);
        else if (strcmp(name, "--first") == 0)
            options.first = strtoll(next(argv, &at), NULL, 10);
        else if (strcmp(name, "--post") == 0)
            read_post(argv, &at);
        else if (strcmp(name, "--http1") == 0)
            options.http1 = true;
        else
            quit(name, "unknown");
    }
    if (!options.server || !options.placeholder || !options.n_posts || options.count < 1
        || options.connections < 1 || options.connections > THREADS_MAX)
        quit("usage", "see the top of the source");
    if (options.header)
        options.header[strcspn(options.header, "\r\n")] = '\0';
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS_MAX];
    int64_t began_ms;

    (void)argc;
    read_options(argv);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        quit("libcurl", "can't be set up");
    began_ms = clock_monotonic_ms();
    for (int i = 0; i < options.connections; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            quit("a thread", "can't be started");
    for (int i = 0; i < options.connections; i++)
        (void)pthread_join(threads[i], NULL);
    printf("{\"seconds\": %.3f, \"made\": %lld}\n",
           (double)(clock_monotonic_ms() - began_ms) / 1000, (long long)atomic_load(&made));
    for (int i = 0; i < options.n_posts; i++)
        free(options.posts[i].document);
    free(options.header);
    curl_global_cleanup();
    return 0;
}
