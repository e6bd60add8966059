/* SPDX-License-Identifier: Apache-2.0 */
#include "confine/capabilities.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct sets {
    uint64_t effective;
    uint64_t permitted;
};

static struct __user_cap_header_struct header_of_ours(void)
{
    return (struct __user_cap_header_struct){.version = _LINUX_CAPABILITY_VERSION_3};
}

static int get(struct sets *out)
{
    struct __user_cap_header_struct header = header_of_ours();
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

    if (syscall(SYS_capget, &header, data) < 0)
        return -1;
    out->effective = (uint64_t)data[1].effective << 32 | data[0].effective;
    out->permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted;
    return 0;
}

/* Inheritable are none. */
static int set(struct sets wanted)
{
    struct __user_cap_header_struct header = header_of_ours();
    const struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
        {.effective = (uint32_t)wanted.effective, .permitted = (uint32_t)wanted.permitted},
        {.effective = (uint32_t)(wanted.effective >> 32),
         .permitted = (uint32_t)(wanted.permitted >> 32)},
    };

    return (int)syscall(SYS_capset, &header, data);
}

int capabilities_bound(uint64_t keep)
{
    struct sets now;

    if (get(&now) < 0)
        return -1;
    if (!(now.effective & CAPABILITY(CAP_SETPCAP)))
        return 0;
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
        if (!(keep & CAPABILITY(cap)) && prctl(PR_CAPBSET_DROP, cap) < 0)
            return -1;
    if (keep)
        return 0;
    return prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED
                                        | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED
                                        | SECBIT_NO_CAP_AMBIENT_RAISE
                                        | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED);
}

int capabilities_keep(uint64_t keep)
{
    struct sets now;

    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (get(&now) < 0)
        return -1;
    return set((struct sets){now.permitted & keep, now.permitted & keep});
}

int capabilities_use(uint64_t use)
{
    struct sets now;

    if (get(&now) < 0)
        return -1;
    return set((struct sets){now.permitted & use, now.permitted});
}

uint64_t capabilities_in_use(void)
{
    struct sets now = {0};

    return get(&now) == 0 ? now.effective : 0;
}
