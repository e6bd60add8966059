/* SPDX-License-Identifier: Apache-2.0 */
#include "shortage.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/scoped.h"
#include "failing_malloc.h"

#define PATIENCE_S 60
#define SAID_MAX 4096

/* How it ended, where a child's end can't take it along. */
struct board {
    int64_t nth;
    int64_t survived;
    bool over;
};

static void quit(const struct shortage *shortage, int64_t nth, const char *what)
{
    (void)fprintf(stderr, "%s: allocation %lld%s: %s\n", shortage->name, (long long)nth,
                  shortage->lasting ? " and all after it" : "", what);
    exit(1);
}

/* Something made once and kept isn't lost: what is lost grows each time. */
static bool is_leak(const struct shortage *shortage, int64_t nth)
{
    for (int i = 0; i < 3; i++) {
        int64_t before = memory_live();

        memory_fail_at(nth, shortage->lasting);
        (void)shortage->run(shortage->ctx, nth);
        (void)memory_back();
        ERR_clear_error();
        if (memory_live() <= before)
            return false;
    }
    return true;
}

_Noreturn static void child(const struct shortage *shortage, int64_t from, struct board *board)
{
    (void)prctl(PR_SET_DUMPABLE, 0); /* no core of each of thousands */
    (void)alarm(PATIENCE_S);
    if (shortage->prepare && shortage->prepare(shortage->ctx) != 0)
        quit(shortage, 0, "can't be prepared");
    for (int64_t nth = from;; nth += shortage->every) {
        int64_t before = memory_live();
        int wrong;

        board->nth = nth;
        memory_fail_at(nth, shortage->lasting);
        wrong = shortage->run(shortage->ctx, nth);
        if (wrong)
            quit(shortage, nth, "not as it must be");
        if (memory_back() == 0)
            break;
        ERR_clear_error();
        board->survived++;
        if (!shortage->leaks && memory_live() > before && is_leak(shortage, nth))
            quit(shortage, nth, "memory was lost");
    }
    board->over = true;
    _exit(0);
}

static bool is_stated(const char *said)
{
    return strstr(said, "out of memory\n") || strstr(said, "crypto: ");
}

/* What the child said goes into `out`. */
static int run_child(const struct shortage *shortage, int64_t from, struct board *board,
                     char out[SAID_MAX])
{
    int said = memfd_create("said", MFD_CLOEXEC);
    pid_t pid = said < 0 ? -1 : fork();
    off_t size;
    ssize_t got;
    int status;

    if (pid < 0)
        quit(shortage, from, "no process");
    if (pid == 0) {
        if (dup2(said, STDERR_FILENO) < 0)
            _exit(1);
        child(shortage, from, board);
    }
    if (waitpid(pid, &status, 0) != pid)
        quit(shortage, from, "no end");
    size = lseek(said, 0, SEEK_END);
    got = pread(said, out, SAID_MAX - 1, size > SAID_MAX - 1 ? size - (SAID_MAX - 1) : 0);
    out[got > 0 ? got : 0] = '\0';
    (void)close(said);
    return status;
}

static void look_at_end(const struct shortage *shortage, int status, int64_t nth,
                        const char *said)
{
    char what[SAID_MAX + 64];

    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && is_stated(said))
        return;
    (void)snprintf(what, sizeof(what), "%s %d without the stated words; it said:\n%s",
                   WIFSIGNALED(status) ? "signal" : "exit code",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), said);
    quit(shortage, nth, what);
}

void shortage_run(const struct shortage *shortage, struct shortage_seen *seen)
{
    struct board *board =
        mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int64_t from = 1;
    char said[SAID_MAX];

    if (board == MAP_FAILED)
        quit(shortage, 0, "no memory to count in");
    while (!board->over) {
        int status;

        board->survived = 0;
        status = run_child(shortage, from, board, said);
        seen->survived += board->survived;
        seen->tried += board->survived;
        if (board->over)
            break;
        look_at_end(shortage, status, board->nth, said);
        seen->aborted++;
        seen->tried++;
        if (shortage->after_abort && shortage->after_abort(shortage->ctx) != 0)
            quit(shortage, board->nth, "what was left behind isn't as it must be");
        from = board->nth + shortage->every;
    }
    (void)munmap(board, sizeof(*board));
}
