/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static _Atomic int64_t fixed_wall_ms = -1;
static _Atomic int64_t jump_ms;
static _Atomic int64_t steady_offset_ns; /* of the time since the boot; 0: not asked yet */

static int64_t read_ns(clockid_t id)
{
    struct timespec now = {0};

    (void)clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t read_clock(clockid_t id)
{
    return read_ns(id) / 1000000;
}

int64_t clock_wall_ms(void)
{
    int64_t fixed = atomic_load_explicit(&fixed_wall_ms, memory_order_relaxed);

    return (fixed >= 0 ? fixed : read_clock(CLOCK_REALTIME))
           + atomic_load_explicit(&jump_ms, memory_order_relaxed);
}

int64_t clock_steady_ms(void)
{
    int64_t fixed = atomic_load_explicit(&fixed_wall_ms, memory_order_relaxed);
    int64_t offset_ns = atomic_load_explicit(&steady_offset_ns, memory_order_relaxed);
    int64_t found_ns;

    if (fixed >= 0)
        return fixed;
    if (!offset_ns) {
        found_ns = read_ns(CLOCK_REALTIME) - read_ns(CLOCK_BOOTTIME);
        if (atomic_compare_exchange_strong(&steady_offset_ns, &offset_ns, found_ns))
            offset_ns = found_ns;
    }
    return (offset_ns + read_ns(CLOCK_BOOTTIME)) / 1000000;
}

int64_t clock_latest_ms(void)
{
    int64_t wall_ms = clock_wall_ms();
    int64_t steady_ms = clock_steady_ms();

    return wall_ms > steady_ms ? wall_ms : steady_ms;
}

int64_t clock_earliest_ms(void)
{
    int64_t wall_ms = clock_wall_ms();
    int64_t steady_ms = clock_steady_ms();

    return wall_ms < steady_ms ? wall_ms : steady_ms;
}

int64_t clock_monotonic_ms(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

void clock_text(int64_t wall_ms, char out[CLOCK_TEXT_SIZE])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm day = {0};
    char date[32] = "";

    if (wall_ms < 0 || !gmtime_r(&seconds, &day)
        || !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &day))
        (void)snprintf(date, sizeof(date), "1970-01-01T00:00:00");
    date[19] = '\0'; /* a year past 9999 would not fit; no clock of ours says that */
    (void)snprintf(out, CLOCK_TEXT_SIZE, "%.19s.%03dZ", date,
                   wall_ms < 0 ? 0 : (int)(wall_ms % 1000));
}

/* ".678" as milliseconds, whatever the number of digits; the rest is in *end. */
static int64_t take_fraction(const char *text, const char **end)
{
    int64_t ms = 0;
    int64_t worth = 100;

    *end = text;
    if (text[0] != '.' || text[1] < '0' || text[1] > '9')
        return 0;
    for (*end = text + 1; **end >= '0' && **end <= '9'; (*end)++) {
        ms += (**end - '0') * worth;
        worth /= 10;
    }
    return ms;
}

/* Does the text begin like the pattern, a 0 of which stands for any digit? strptime and
 * sscanf alone would take white space and signs too. */
static bool begins_like(const char *text, const char *pattern)
{
    for (; *pattern; text++, pattern++)
        if (*pattern == '0' ? *text < '0' || *text > '9' : *text != *pattern)
            return false;
    return true;
}

/* "Z" or "+01:00" as the milliseconds to take off. */
static bool take_offset(const char *text, int64_t *out_ms)
{
    int hours;
    int minutes;

    *out_ms = 0;
    if ((text[0] == 'Z' || text[0] == 'z') && !text[1])
        return true;
    if ((text[0] != '+' && text[0] != '-') || !begins_like(text + 1, "00:00") || text[6]
        || sscanf(text + 1, "%2d:%2d", &hours, &minutes) != 2 || hours > 23 || minutes > 59)
        return false;
    *out_ms = (text[0] == '-' ? -1 : 1) * (hours * 60 + minutes) * 60000LL;
    return true;
}

/* timegm takes the 31st of February for the 3rd of March; we don't. */
static bool day_exists(const struct tm *day)
{
    struct tm same = {.tm_year = day->tm_year, .tm_mon = day->tm_mon, .tm_mday = day->tm_mday};

    (void)timegm(&same);
    return same.tm_mday == day->tm_mday;
}

bool clock_parse(const char *text, int64_t *out_wall_ms)
{
    struct tm day = {0};
    const char *rest;
    int64_t ms;
    int64_t offset_ms;

    if (!text || !begins_like(text, "0000-00-00T00:00:00"))
        return false;
    rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &day);
    if (!rest || !day_exists(&day))
        return false;
    ms = take_fraction(rest, &rest);
    if (!take_offset(rest, &offset_ms))
        return false;
    *out_wall_ms = (int64_t)timegm(&day) * 1000 + ms - offset_ms;
    return true;
}

void clock_set_for_test(int64_t wall_ms)
{
    atomic_store(&fixed_wall_ms, wall_ms);
}

void clock_jump_for_test(int64_t by_ms)
{
    atomic_store(&jump_ms, by_ms);
}
