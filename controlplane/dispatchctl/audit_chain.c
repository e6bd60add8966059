/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/audit_chain.h"

#include <string.h>

#include "base/clock.h"
#include "model/audit_entry.h"

static void hash_entry(const struct audit_chain *chain, int64_t number, int64_t at_ms,
                       const cJSON *document, uint8_t out[SHA256_SIZE])
{
    struct audit_entry entry = {
        .number = number,
        .at_ms = at_ms,
        .actor = json_get_str(document, "actor"),
        .action = json_get_str(document, "action"),
        .target = json_get_str(document, "target"),
        .address = json_get_str(document, "address"),
        .request_id = json_get_str(document, "request_id"),
        .detail = json_get_str(document, "detail"),
    };

    audit_entry_hash(&entry, chain->head, out);
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
