/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_AUDIT_ENTRY_H
#define MODEL_AUDIT_ENTRY_H
#include "crypto/digest.h"

/*
 * An entry of the audit log, and what its hash is: SHA-256 over
 *     the hash of the entry before it (32 zero bytes for the first),
 *     its number and its time in milliseconds, 8 bytes big-endian each,
 *     actor, action, target, address, request_id, detail: each its length in 8 bytes
 *     big-endian, then its UTF-8; one that isn't there is the length 2^64 - 1 alone.
 */
struct audit_entry {
    int64_t number; /* from 1, without gaps */
    int64_t at_ms;
    const char *actor;
    const char *action;
    const char *target;
    const char *address; /* NULL: none, as the two below */
    const char *request_id;
    const char *detail;
    uint8_t hash[SHA256_SIZE];
};

/* `before` is that of the entry before it. */
void audit_entry_hash(const struct audit_entry *entry, const uint8_t before[SHA256_SIZE],
                      uint8_t out[SHA256_SIZE]);
#endif
