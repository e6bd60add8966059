/* SPDX-License-Identifier: Apache-2.0 */
#include "home/stop.h"

#include <signal.h>
#include <unistd.h>

#include "base/clock.h"

/* How late a sleeper notices. */
#define LOOK_EVERY_MS 50

static volatile bool requested;

void stop_request(void)
{
    __atomic_store_n(&requested, true, __ATOMIC_RELAXED);
}

bool stop_requested(void)
{
    return __atomic_load_n(&requested, __ATOMIC_RELAXED);
}

const volatile bool *stop_flag(void)
{
    return &requested;
}

static void on_signal(int number)
{
    (void)number;
    stop_request();
}

void stop_on_signals(void)
{
    struct sigaction stop = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGINT, &stop, NULL);
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
