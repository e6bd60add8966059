/* SPDX-License-Identifier: Apache-2.0 */
#include "model/audit_entry.h"

#include <string.h>

#include "base/buf.h"

static void put_number(struct buf *out, uint64_t number)
{
    uint8_t bytes[8];

    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    buf_append(out, bytes, sizeof(bytes));
}

static void put_text(struct buf *out, const char *text)
{
    if (!text) {
        put_number(out, UINT64_MAX);
        return;
    }
    put_number(out, strlen(text));
    buf_append_str(out, text);
}

void audit_entry_hash(const struct audit_entry *entry, const uint8_t before[SHA256_SIZE],
                      uint8_t out[SHA256_SIZE])
{
    scoped_buf bytes = {0};

    buf_append(&bytes, before, SHA256_SIZE);
    put_number(&bytes, (uint64_t)entry->number);
    put_number(&bytes, (uint64_t)entry->at_ms);
    put_text(&bytes, entry->actor);
    put_text(&bytes, entry->action);
    put_text(&bytes, entry->target);
    put_text(&bytes, entry->address);
    put_text(&bytes, entry->request_id);
    put_text(&bytes, entry->detail);
    sha256(bytes.data, bytes.size, out);
}
