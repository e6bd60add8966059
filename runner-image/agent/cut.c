/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cut.h"

#include <string.h>

size_t cut_at(const char *text, size_t size, size_t max)
{
    if (size <= max)
        return size;
    size = max;
    while (size && max - size < 4 && ((unsigned char)text[size] & 0xc0) == 0x80)
        size--;
    return size;
}

void cut_to(char *text, size_t max)
{
    text[cut_at(text, strlen(text), max)] = '\0';
}
