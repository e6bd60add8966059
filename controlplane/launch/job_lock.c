/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/job_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "launch/proc_stat.h"

#define FILE_NAME "job.lock"
#define FILE_MAX 512
#define SETTLE_MS 1000
#define BOOT_ID_SIZE 40
#define SEAL_TEXT "sealed\n"

/* What a child that may not run ends with; JOB_LOCK_NO_DISK when the disk is why. */
#define CHILD_LEAVES 75

int64_t job_lock_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void read_boot_id(char out[BOOT_ID_SIZE])
{
    scoped_fd fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, out, BOOT_ID_SIZE - 1) : 0;

    out[got > 0 ? got : 0] = '\0';
    out[strcspn(out, " \n")] = '\0';
    if (!out[0])
        (void)snprintf(out, BOOT_ID_SIZE, "unknown");
}

/* --- Looking -------------------------------------------------------------------------- */

static int is_held(int fd, bool *out, struct err *err)
{
    struct flock asked = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(fd, F_OFD_GETLK, &asked) < 0)
        return err_set_errno(err, errno, "asking for the lock of " FILE_NAME);
    *out = asked.l_type != F_UNLCK;
    return 0;
}

static int read_text(int fd, char out[FILE_MAX], struct err *err)
{
    ssize_t got = pread(fd, out, FILE_MAX - 1, 0);

    if (got < 0)
        return err_set_errno(err, errno, "reading " FILE_NAME);
    out[got] = '\0';
    return 0;
}

/* The job's own user could have written anything: what doesn't read as a runner of this
 * boot is no pid. */
static void parse_runner(const char *text, struct job_lock *out)
{
    char boot[BOOT_ID_SIZE];
    char boot_now[BOOT_ID_SIZE];
    int64_t pid;
    int64_t since_ms;
    int64_t timeout_s;

    read_boot_id(boot_now);
    if (sscanf(text, "%9" SCNd64 " %15" SCNd64 " %39s %9" SCNd64, &pid, &since_ms, boot,
               &timeout_s)
            != 4
        || pid < 2 || pid > INT32_MAX || since_ms < 0 || timeout_s < 0
        || strcmp(boot, boot_now) != 0)
        return;
    out->pid = (pid_t)pid;
    out->since_ms = since_ms;
    out->timeout_s = timeout_s;
}

void job_lock_parse(const char *text, struct job_lock *out)
{
    const char *second = strchr(text, '\n');
    int number;

    parse_runner(text, out);
    if (!second)
        return;
    if (sscanf(second + 1, "exit %3d", &number) == 1 && number >= 0 && number <= 255)
        out->exit_code = number;
    else if (sscanf(second + 1, "signal %3d", &number) == 1 && number > 0 && number < 128)
        out->signal = number;
}

int job_lock_look(int dir_fd, struct job_lock *out, struct err *err)
{
    struct job_lock lock = {.phase = JOB_LOCK_NEVER, .exit_code = -1};
    scoped_fd fd = openat(dir_fd, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    char text[FILE_MAX];
    bool held;

    if (fd < 0 && errno != ENOENT)
        return err_set_errno(err, errno, FILE_NAME);
    if (fd < 0) {
        *out = lock;
        return 0;
    }
    /* The lock first: an unlocked file that is still empty afterwards was never run at the
     * moment we asked. A line that appeared in between may belong to a runner that has just
     * begun, so then the lock is asked for again. */
    if (is_held(fd, &held, err) < 0 || read_text(fd, text, err) < 0)
        return -1;
    if (!held && text[0] && is_held(fd, &held, err) < 0)
        return -1;
    if (held || text[0])
        lock.phase = held ? JOB_LOCK_HELD : JOB_LOCK_PAST;
    lock.written = text[0] != '\0';
    job_lock_parse(text, &lock);
    *out = lock;
    return 0;
}

int job_lock_settle(int dir_fd, struct job_lock *out, struct err *err)
{
    int64_t until_ms = clock_monotonic_ms() + SETTLE_MS;

    for (;;) {
        if (job_lock_look(dir_fd, out, err) < 0)
            return -1;
        if (out->phase != JOB_LOCK_HELD || out->written || clock_monotonic_ms() > until_ms)
            return 0;
        (void)usleep(1000);
    }
}

int job_lock_open_runner(const struct job_lock *lock)
{
    scoped_fd pidfd = -1;
    struct proc_stat now;

    if (lock->pid < 2 || lock->pid == getpid())
        return -1;
    pidfd = (int)syscall(SYS_pidfd_open, lock->pid, 0);
    /* Looked at after the descriptor was opened: a process that fits now is the one it
     * names. The runner leads a session; that a tampered line names some other process is
     * as good as excluded by this. */
    if (pidfd < 0 || !proc_stat_read(lock->pid, &now) || proc_stat_is_dead(&now)
        || now.session != lock->pid || now.started_ms > lock->since_ms)
        return -1;
    return TAKE_FD(pidfd);
}

/* --- Writing -------------------------------------------------------------------------- */

static int lock_now(int fd)
{
    struct flock wanted = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(fd, F_OFD_SETLK, &wanted);
}

int job_lock_seal(int dir_fd, bool *out_sealed, struct err *err)
{
    scoped_fd fd =
        openat(dir_fd, FILE_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    struct stat st;

    *out_sealed = false;
    if (fd < 0)
        return err_set_errno(err, errno, FILE_NAME);
    if (lock_now(fd) < 0)
        return errno == EAGAIN || errno == EACCES ? 0 : err_set_errno(err, errno, FILE_NAME);
    if (fstat(fd, &st) < 0)
        return err_set_errno(err, errno, FILE_NAME);
    if (st.st_size > 0)
        return 0;
    if (write(fd, SEAL_TEXT, sizeof(SEAL_TEXT) - 1) < 0)
        return err_set_errno(err, errno, "writing " FILE_NAME);
    *out_sealed = true;
    return 0;
}

void job_lock_note_end(int dir_fd, int exit_code, int signal)
{
    scoped_fd fd =
        openat(dir_fd, FILE_NAME, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    char line[32];
    int length = snprintf(line, sizeof(line), signal ? "signal %d\n" : "exit %d\n",
                          signal ? signal : exit_code);

    if (fd >= 0 && write(fd, line, (size_t)length) < 0)
        return;
}

/* --- In the child --------------------------------------------------------------------- */

void job_lock_claim_init(struct job_lock_claim *claim, const char *dir, int64_t timeout_s)
{
    char boot[BOOT_ID_SIZE];

    read_boot_id(boot);
    claim->path = xasprintf("%s/" FILE_NAME, dir);
    (void)snprintf(claim->rest, sizeof(claim->rest), " %s %lld\n", boot,
                   timeout_s > 0 ? (long long)timeout_s : 0LL);
}

void job_lock_claim_done(struct job_lock_claim *claim)
{
    free(claim->path);
    *claim = (struct job_lock_claim){0};
}

static char *put_number(char *at, uint64_t value)
{
    char digits[24];
    int n = 0;

    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (n > 0)
        *at++ = digits[--n];
    return at;
}

int job_lock_claim_in_child(void *ctx)
{
    const struct job_lock_claim *claim = ctx;
    /* No O_CLOEXEC: the runner holds this for as long as it lives. */
    int fd = open(claim->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
    char line[FILE_MAX];
    char *at = line;
    struct stat st;
    size_t size;

    if (fd < 0 || lock_now(fd) < 0 || fstat(fd, &st) < 0 || st.st_size > 0)
        return CHILD_LEAVES;
    at = put_number(at, (uint64_t)getpid());
    *at++ = ' ';
    at = put_number(at, (uint64_t)job_lock_now_ms());
    for (const char *rest = claim->rest; *rest; rest++)
        *at++ = *rest;
    size = (size_t)(at - line);
    /* On disk before the runner's first instruction: after a power cut, too, it ran once. */
    if (write(fd, line, size) == (ssize_t)size && fsync(fd) == 0)
        return 0;
    /* It doesn't run: half a line would say that it did. */
    return ftruncate(fd, 0) == 0 ? JOB_LOCK_NO_DISK : CHILD_LEAVES;
}
