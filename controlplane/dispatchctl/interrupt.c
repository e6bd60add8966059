/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t signalled;

static void note(int number)
{
    (void)number;
    signalled = 1;
}

void interrupt_watch(void)
{
    struct sigaction action = {.sa_handler = note, .sa_flags = (int)SA_RESETHAND};

    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool interrupt_came(void)
{
    return signalled;
}
