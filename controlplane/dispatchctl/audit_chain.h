/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_AUDIT_CHAIN_H
#define DISPATCHCTL_AUDIT_CHAIN_H
#include "crypto/digest.h"
#include "json/json.h"

/*
 * The audit log's chain of hashes, recomputed from what GET /api/audit says, on this side: a
 * server that lies about one entry has to lie about all that come after. The hash of an entry
 * is SHA-256 over the hash before it (32 zero bytes for the first), its number and its time in
 * milliseconds as 8 bytes big-endian each, then actor, action, target, address, request_id and
 * detail: the length of each in 8 bytes big-endian and its bytes; one that isn't there is the
 * length 2^64 - 1 alone.
 */
struct audit_chain {
    int64_t number; /* of the last entry that was sound; 0: none yet */
    uint8_t head[SHA256_SIZE];
};

/* The next entry. ERR_CONFLICT: it doesn't follow from those before. */
int audit_chain_add(struct audit_chain *chain, const cJSON *entry, struct err *err) CHECKED;
#endif
