/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/audit_chain.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"

static void put_number(struct buf *out, uint64_t number)
{
    uint8_t bytes[8];

    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    buf_append(out, bytes, sizeof(bytes));
}

static void put_text(struct buf *out, const char *text)
{
    put_number(out, text ? strlen(text) : UINT64_MAX);
    if (text)
        buf_append_str(out, text);
}

static void hash_entry(const struct audit_chain *chain, int64_t number, int64_t at_ms,
                       const cJSON *entry, uint8_t out[SHA256_SIZE])
{
    static const char *const texts[] = {"actor",   "action",     "target",
                                        "address", "request_id", "detail"};
    scoped_buf text = {0};

    buf_append(&text, chain->head, sizeof(chain->head));
    put_number(&text, (uint64_t)number);
    put_number(&text, (uint64_t)at_ms);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        put_text(&text, json_get_str(entry, texts[i]));
    sha256(text.data, text.size, out);
}

int audit_chain_add(struct audit_chain *chain, const cJSON *entry, struct err *err)
{
    int64_t number = json_get_int(entry, "number", 0);
    const char *at = json_get_str(entry, "at");
    const char *said = json_get_str(entry, "hash");
    uint8_t said_hash[SHA256_SIZE];
    uint8_t hash[SHA256_SIZE];
    int64_t at_ms;

    if (number != chain->number + 1)
        return err_set(err, ERR_CONFLICT, "after entry %lld comes %lld: entries are missing",
                       (long long)chain->number, (long long)number);
    if (!at || !clock_parse(at, &at_ms) || !said
        || !hex_decode(said, said_hash, sizeof(said_hash)))
        return err_set(err, ERR_CONFLICT, "entry %lld has no time or no hash",
                       (long long)number);
    hash_entry(chain, number, at_ms, entry, hash);
    if (!bytes_equal(hash, said_hash, sizeof(hash)))
        return err_set(err, ERR_CONFLICT,
                       "entry %lld isn't what was written, or one before it: its hash differs",
                       (long long)number);
    chain->number = number;
    memcpy(chain->head, hash, sizeof(hash));
    return 0;
}
