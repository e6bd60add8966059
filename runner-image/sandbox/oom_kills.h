/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SANDBOX_OOM_KILLS_H
#define SANDBOX_OOM_KILLS_H
#include <stdint.h>

/*
 * How many processes the kernel has killed in our control group because its memory was used up
 * (oom_kill of memory.events, or of memory.oom_control with cgroup v1); -1 when there is no
 * telling. A count that rose while the agent worked says why it failed.
 * https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files
 */
int64_t oom_kills(void);

/* The same of a list like /proc/self/cgroup, and of groups mounted at `mounted`. */
int64_t oom_kills_of(const char *groups, const char *mounted);
#endif
