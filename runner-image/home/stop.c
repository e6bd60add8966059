/* SPDX-License-Identifier: Apache-2.0 */
#include "home/stop.h"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"

/* How late a sleeper notices. */
#define LOOK_EVERY_MS 50

static volatile bool requested;
static volatile bool agent_requested;
static volatile bool by_home;
static volatile bool postponed;

static void set(volatile bool *flag)
{
    __atomic_store_n(flag, true, __ATOMIC_RELAXED);
}

static bool is_set(const volatile bool *flag)
{
    return __atomic_load_n(flag, __ATOMIC_RELAXED);
}

void stop_request(void)
{
    set(&by_home);
    set(&agent_requested);
    set(&requested);
}

bool stop_requested(void)
{
    return is_set(&requested);
}

bool stop_by_home(void)
{
    return is_set(&by_home);
}

const volatile bool *stop_flag(void)
{
    return &requested;
}

void stop_agent(void)
{
    set(&agent_requested);
}

const volatile bool *stop_agent_flag(void)
{
    return &agent_requested;
}

/* SIGALRM is the end of a postponement. */
static void on_signal(int number)
{
    if (number != SIGALRM && is_set(&postponed))
        return; /* we are at it */
    set(&agent_requested);
    set(&requested);
}

bool stop_postpone(int for_ms)
{
    struct itimerval timer = {
        .it_value = {.tv_sec = for_ms / 1000, .tv_usec = for_ms % 1000 * 1000}};

    if (is_set(&by_home) || is_set(&postponed) || setitimer(ITIMER_REAL, &timer, NULL) < 0)
        return false;
    set(&postponed);
    __atomic_store_n(&requested, false, __ATOMIC_RELAXED);
    if (is_set(&by_home)) /* it asked in between */
        set(&requested);
    return !is_set(&by_home);
}

void stop_on_signals(void)
{
    struct sigaction stop = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)sigaction(SIGALRM, &stop, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

bool stop_sleep(int for_ms)
{
    int64_t until_ms = clock_monotonic_ms() + for_ms;

    while (!stop_requested()) {
        int64_t left_ms = until_ms - clock_monotonic_ms();

        if (left_ms <= 0)
            return true;
        (void)usleep((useconds_t)(left_ms < LOOK_EVERY_MS ? left_ms : LOOK_EVERY_MS) * 1000);
    }
    return false;
}
