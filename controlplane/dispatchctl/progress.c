/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/progress.h"

#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "dispatchctl/clean.h"
#include "dispatchctl/output.h"

#define DRAW_EVERY_MS 120
#define COLUMNS_USUAL 80
#define ERASE_LINE "\r\033[K"

void progress_init(struct progress *progress, const struct invocation *call)
{
    const char *term = getenv("TERM");

    *progress = (struct progress){
        .shown =
            !call->options.quiet && isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0,
        .began_ms = clock_monotonic_ms(),
    };
}

void progress_done(struct progress *progress)
{
    progress_clear(progress);
    free(progress->what);
    progress->what = NULL;
}

void progress_say(struct progress *progress, const char *what)
{
    free(progress->what);
    progress->what = clean_line(what);
    progress->drawn_ms = 0;
}

static int columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col)
        return COLUMNS_USUAL;
    return size.ws_col;
}

/* Cuts the text to so many columns. */
static void cut(char *text, int width)
{
    while (table_text_width(text) > width) {
        size_t end = strlen(text) - 1;

        while (end && ((unsigned char)text[end] & 0xc0) == 0x80)
            end--;
        text[end] = '\0';
    }
}

void progress_tick(struct progress *progress)
{
    static const char *const spinner[] = {"|", "/", "-", "\\"};
    int64_t now_ms = clock_monotonic_ms();
    char elapsed[AGE_SIZE];
    char line[512];

    if (!progress->shown || now_ms - progress->drawn_ms < DRAW_EVERY_MS)
        return;
    output_elapsed(now_ms - progress->began_ms, elapsed);
    (void)snprintf(line, sizeof(line), "%s %s  %s",
                   spinner[progress->step++ % ARRAY_SIZE(spinner)], elapsed,
                   progress->what ? progress->what : "");
    cut(line, columns() - 1);
    (void)fprintf(stderr, ERASE_LINE "%s", line);
    (void)fflush(stderr);
    progress->on_screen = true;
    progress->drawn_ms = now_ms;
}

void progress_clear(struct progress *progress)
{
    if (!progress->on_screen)
        return;
    (void)fputs(ERASE_LINE, stderr);
    (void)fflush(stderr);
    progress->on_screen = false;
    progress->drawn_ms = 0;
}
