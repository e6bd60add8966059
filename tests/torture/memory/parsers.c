/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzz target (tests/fuzz) reads its inputs while memory runs out, at every allocation there
 * is: it ends as stated or comes back, and then it has given back what it took.
 *
 *     no_memory_TARGET EVERY FILE...             every EVERYth allocation
 *     no_memory_TARGET EVERY --served FILE...    the target has threads of its own
 */
#include <dlfcn.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "failing_malloc.h"
#include "fuzz.h"
#include "shortage.h"
#include "test.h"
#include "json/json.h"

#define INPUT_MAX_BYTES (4 * 1024 * 1024)
#define FOLDERS_MAX 64
#define WARM_UPS 2 /* what is made once and kept is there then */

/* --- What children leave behind ----------------------------------------------------------- */

struct folders {
    int count;
    char paths[FOLDERS_MAX][128];
};

static struct folders *folders; /* children and we share it */

/* In place of libc's: a server's database is in a folder that goes when the server does, which
 * after an abort is never. */
char *mkdtemp(char *path)
{
    char *(*below)(char *) = NULL;

    *(void **)&below = dlsym(RTLD_NEXT, "mkdtemp");
    path = below(path);
    if (path && folders && folders->count < FOLDERS_MAX)
        (void)snprintf(folders->paths[folders->count++], sizeof(folders->paths[0]), "%s", path);
    return path;
}

static int remove_folders(void *ctx)
{
    (void)ctx;
    while (folders->count > 0) {
        const char *path = folders->paths[--folders->count];

        if (access(path, F_OK) == 0)
            test_dir_remove(path);
    }
    return 0;
}

/* glibc's (2.36) frees twice when it has no memory for a group: nothing that we could mend. */
int regcomp(regex_t *compiled, const char *pattern, int flags)
{
    int (*below)(regex_t *, const char *, int) = NULL;
    int code;

    *(void **)&below = dlsym(RTLD_NEXT, "regcomp");
    memory_spare(true);
    code = below(compiled, pattern, flags);
    memory_spare(false);
    return code;
}

/* --- Reading ------------------------------------------------------------------------------ */

static int read_input(void *ctx, int64_t nth)
{
    const struct buf *input = ctx;

    (void)nth;
    (void)LLVMFuzzerTestOneInput((const uint8_t *)(input->data ? input->data : ""),
                                 input->size);
    return 0;
}

static int warm_up(void *ctx)
{
    for (int i = 0; i < WARM_UPS; i++)
        (void)read_input(ctx, 0);
    return 0;
}

/* A server's threads are short of memory; its caller, which also makes it anew, isn't. */
static int begin_serving(void *ctx)
{
    memory_spare(true);
    return warm_up(ctx);
}

static void starve(const char *path, int64_t every, bool served, struct shortage_seen *seen)
{
    scoped_buf input = {0};
    struct err err = {0};
    struct shortage shortage = {.name = path,
                                .prepare = served ? begin_serving : NULL,
                                .run = read_input,
                                .after_abort = remove_folders,
                                .ctx = &input,
                                .every = every,
                                .leaks = served};

    if (buf_read_file(&input, path, INPUT_MAX_BYTES, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    if (!served) /* children inherit it; threads they would not */
        (void)warm_up(&input);
    shortage_run(&shortage, seen);
    (void)remove_folders(NULL);
    shortage.lasting = true;
    shortage_run(&shortage, seen);
    (void)remove_folders(NULL);
}

int main(int argc, char **argv)
{
    struct shortage_seen seen = {0};
    int64_t every = argc > 2 ? atoll(argv[1]) : 0;
    bool served = argc > 3 && strcmp(argv[2], "--served") == 0;
    int first = served ? 3 : 2;

    if (every < 1) {
        (void)fprintf(stderr, "usage: no_memory_TARGET EVERY [--served] FILE...\n");
        return 2;
    }
    folders =
        mmap(NULL, sizeof(*folders), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (folders == MAP_FAILED)
        return 1;
    json_setup();
    for (int i = first; i < argc; i++)
        starve(argv[i], every, served, &seen);
    printf("{\"inputs\": %d, \"tried\": %lld, \"aborted\": %lld, \"survived\": %lld}\n",
           argc - first, (long long)seen.tried, (long long)seen.aborted,
           (long long)seen.survived);
    return 0;
}
