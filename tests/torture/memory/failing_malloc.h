/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MEMORY_FAILING_MALLOC_H
#define MEMORY_FAILING_MALLOC_H
#include <stdbool.h>
#include <stdint.h>

/*
 * Memory that runs out when it is told to. Linked into a program, this takes the place of
 * malloc and its kin for the program and for every library under it, in all threads.
 */

/* The nth allocation from now on fails (1: the next), alone or with all that follow it. */
void memory_fail_at(int64_t nth, bool lasting);
/* There is memory again; how many allocations were refused. */
int64_t memory_back(void);
/* This thread is spared for a while, and what it asks for isn't counted. */
void memory_spare(bool spared);
/* How many pieces are in use. */
int64_t memory_live(void);
#endif
