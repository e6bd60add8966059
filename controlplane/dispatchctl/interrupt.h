/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_INTERRUPT_H
#define DISPATCHCTL_INTERRUPT_H
#include <stdbool.h>

/* From now on Ctrl-C and TERM are asked about instead of ending the program; the second one
 * ends it. */
void interrupt_watch(void);
bool interrupt_came(void);
#endif
