/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/session.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "mcp/message_lines.h"
#include "mcp/protocol.h"
#include "mcp/tool_server.h"

#define PIECE_BYTES 16384
#define THREAD_STACK_BYTES ((size_t)512 * 1024)

struct session {
    struct session_world *world;
    int fd;
    pthread_mutex_t sending; /* one line at a time */

    pthread_mutex_t lock;
    pthread_cond_t ended; /* a call has */
    struct running *running;
};

/* A call under way: in its session's list from start to end. */
struct running {
    struct session *session;
    const struct tool *tool;
    cJSON *id;
    cJSON *arguments;
    volatile bool cancel;
    struct running *next;
};

int session_start_thread(void *(*run)(void *), void *ctx)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t others;
    sigset_t before;
    int failed;

    (void)sigfillset(&others);
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
        (void)sigdelset(&others, faults[i]);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_sigmask(SIG_SETMASK, &others, &before);
    failed = pthread_create(&thread, &attributes, run, ctx);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return failed ? -1 : 0;
}

/* --- Sending ------------------------------------------------------------------------------ */

/* Waits for an agent that doesn't read: it is its own call that isn't answered. */
static void send_line(void *ctx, const char *line)
{
    struct session *session = ctx;
    size_t left = strlen(line);

    (void)pthread_mutex_lock(&session->sending);
    while (left) {
        ssize_t sent = send(session->fd, line, left, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            break; /* the reader will see it too */
        line += sent;
        left -= (size_t)sent;
    }
    (void)pthread_mutex_unlock(&session->sending);
}

/* --- Calls -------------------------------------------------------------------------------- */

static void running_free(struct running *running)
{
    cJSON_Delete(running->id);
    cJSON_Delete(running->arguments);
    free(running);
}

/* The session may be gone once its list is empty: nothing of it is touched after that. */
static void leave(struct running *running)
{
    struct session *session = running->session;
    struct running **at;

    atomic_fetch_sub(&session->world->calls, 1);
    (void)pthread_mutex_lock(&session->lock);
    for (at = &session->running; *at != running;)
        at = &(*at)->next;
    *at = running->next;
    (void)pthread_cond_signal(&session->ended);
    (void)pthread_mutex_unlock(&session->lock);
    running_free(running);
}

static void *run_call(void *ctx)
{
    struct running *running = ctx;
    struct session *session = running->session;
    cJSON *result =
        tool_call(&session->world->caller, running->tool, running->arguments, &running->cancel);

    if (result) {
        scoped_str line = message_result(running->id, result);

        if (!__atomic_load_n(&running->cancel, __ATOMIC_ACQUIRE))
            send_line(session, line);
    }
    leave(running);
    return NULL;
}

/* Under the lock. */
static struct running *find(struct session *session, const cJSON *id)
{
    struct running *running = session->running;

    while (running && !protocol_same_id(running->id, id))
        running = running->next;
    return running;
}

static enum protocol_start start_call(void *ctx, const cJSON *id, const struct tool *tool,
                                      cJSON *arguments)
{
    struct session *session = ctx;
    struct running *running = xcalloc(1, sizeof(*running));
    enum protocol_start result = PROTOCOL_STARTED;

    *running = (struct running){.session = session,
                                .tool = tool,
                                .id = cJSON_Duplicate(id, false),
                                .arguments = arguments};
    (void)pthread_mutex_lock(&session->lock);
    if (find(session, id)) {
        result = PROTOCOL_SAME_ID;
    } else if (atomic_fetch_add(&session->world->calls, 1) >= TOOL_SERVER_CALLS_MAX
               || session_start_thread(run_call, running) < 0) {
        atomic_fetch_sub(&session->world->calls, 1);
        result = PROTOCOL_BUSY;
    } else {
        running->next = session->running;
        session->running = running;
    }
    (void)pthread_mutex_unlock(&session->lock);
    if (result != PROTOCOL_STARTED)
        running_free(running);
    return result;
}

static void cancel_call(void *ctx, const cJSON *id)
{
    struct session *session = ctx;
    struct running *running;

    (void)pthread_mutex_lock(&session->lock);
    running = find(session, id);
    if (running)
        __atomic_store_n(&running->cancel, true, __ATOMIC_RELEASE);
    (void)pthread_mutex_unlock(&session->lock);
}

static void end_calls(struct session *session)
{
    (void)pthread_mutex_lock(&session->lock);
    for (struct running *one = session->running; one; one = one->next)
        __atomic_store_n(&one->cancel, true, __ATOMIC_RELEASE);
    while (session->running)
        (void)pthread_cond_wait(&session->ended, &session->lock);
    (void)pthread_mutex_unlock(&session->lock);
}

/* --- Listening ---------------------------------------------------------------------------- */

static void take_line(void *ctx, const char *line, size_t size)
{
    protocol_take(ctx, line, size);
}

static void take_too_long(void *ctx)
{
    protocol_take_too_long(ctx);
}

static void listen_to_the_end(struct session *session, struct protocol *protocol)
{
    const struct message_line_taker taker = {take_line, take_too_long, protocol};
    struct message_lines lines = {0};
    char piece[PIECE_BYTES];

    for (;;) {
        ssize_t size = recv(session->fd, piece, sizeof(piece), 0);

        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            break;
        message_lines_feed(&lines, piece, (size_t)size, &taker);
    }
    message_lines_done(&lines);
}

void session_serve(struct session_world *world, int fd)
{
    struct session session = {.world = world, .fd = fd};
    struct protocol protocol = {
        .tools = world->tools,
        .owner = {.send = send_line,
                  .call = start_call,
                  .cancel = cancel_call,
                  .ctx = &session},
    };

    (void)pthread_mutex_init(&session.sending, NULL);
    (void)pthread_mutex_init(&session.lock, NULL);
    (void)pthread_cond_init(&session.ended, NULL);
    listen_to_the_end(&session, &protocol);
    (void)shutdown(fd, SHUT_RDWR); /* a call that is being answered waits no longer */
    end_calls(&session);
    (void)pthread_cond_destroy(&session.ended);
    (void)pthread_mutex_destroy(&session.lock);
    (void)pthread_mutex_destroy(&session.sending);
}
