/* SPDX-License-Identifier: Apache-2.0 */
#include "model/agent.h"

#include <stddef.h>
#include <string.h>

#include "base/scoped.h"

bool agent_name_valid(const char *name)
{
    static const char *const known[] = {"claude-code", "gemini-code", "opencode",
                                        AGENT_COMMAND};

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strcmp(name, known[i]) == 0)
            return true;
    return false;
}
