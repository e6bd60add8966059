/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMAND_START_PAGES_H
#define COMMAND_START_PAGES_H

/*
 * What the start alone needs of the program and its libraries (relocating, initialising,
 * migrating) is half of what an idle dispatchd has in memory. Gives those pages back: what is
 * used again comes back from the page cache. Only what is never written, so that nothing is
 * lost. Once, from any thread.
 */
void start_pages_give_back(void);
#endif
