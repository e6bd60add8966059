/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/scoped.h"
#include "home/home.h"

/*
 *     brief_runner NOTES [OVER]
 *
 * A runner that keeps to its protocol, with the real one's patience, and does nothing in
 * between: it claims its run and reports that it is completed; with OVER it sends heartbeats
 * until there is such a file. Each step that it has come to is a line of NOTES: "started RUN
 * ATTEMPT", then "claimed", "reported" or "refused".
 */
#define BEAT_EVERY_US 200000

static int note(const char *path, const char *what, const struct settings *settings)
{
    scoped_str line = xasprintf("%s %s %d\n", what, settings->run_id, settings->attempt);
    scoped_fd notes = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);

    return notes >= 0 && write(notes, line, strlen(line)) == (ssize_t)strlen(line) ? 0 : -1;
}

/* Each refusal is told; only a stop ends it. */
static void beat_until(struct home *home, const char *over, const char *notes,
                       const struct settings *settings)
{
    bool stop = false;

    while (!stop && access(over, F_OK) != 0) {
        struct err err = {0};

        if (home_heartbeat(home, &stop, &err) < 0)
            (void)note(notes, "refused", settings);
        (void)usleep(BEAT_EVERY_US);
    }
}

static int work(const struct settings *settings, const char *notes, const char *over,
                struct err *err)
{
    const struct net_options options = {.user_agent = "brief-runner/1"};
    scoped(net) net = net_new(&options, err);
    scoped(home) home = net ? home_new(net, settings) : NULL;
    scoped_str name = xasprintf("brief-%d", (int)getpid());
    scoped_json claimed = home ? home_claim(home, name, err) : NULL;
    scoped_json report =
        jobj({"task_id", jstr(settings->run_id)}, {"status", jstr("completed")});
    scoped_str text = json_text(report);

    if (!claimed || note(notes, "claimed", settings) < 0)
        return -1;
    if (over)
        beat_until(home, over, notes, settings);
    if (home_complete(home, text, err) < 0)
        return -1;
    return note(notes, "reported", settings);
}

int main(int argc, char **argv)
{
    scoped_settings settings = {0};
    struct err err = {0};
    const char *notes = argc > 1 ? argv[1] : "";

    if (settings_load(&settings, &err) == 0 && note(notes, "started", &settings) == 0
        && work(&settings, notes, argc > 2 ? argv[2] : NULL, &err) == 0)
        return 0;
    if (settings.run_id)
        (void)note(notes, "refused", &settings);
    (void)fprintf(stderr, "brief_runner: %s\n", err.text);
    return 1;
}
