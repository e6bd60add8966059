/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/audit_chain.h"

#include <string.h>

#include "base/buf.h"
#include "test.h"

#define FIRST_AT_MS 1700000000000LL

static void put(struct buf *out, uint64_t number)
{
    for (int shift = 56; shift >= 0; shift -= 8) {
        char byte = (char)(number >> shift);

        buf_append(out, &byte, 1);
    }
}

static void put_text(struct buf *out, const char *text)
{
    put(out, text ? strlen(text) : UINT64_MAX);
    buf_append_str(out, text ? text : "");
}

/* An entry as the server would write it, by the words of store/audit.h. */
static cJSON *entry(const uint8_t before[SHA256_SIZE], int64_t number, const char *detail,
                    uint8_t out[SHA256_SIZE])
{
    scoped_buf text = {0};
    char hash[SHA256_HEX_SIZE];

    buf_append(&text, before, SHA256_SIZE);
    put(&text, (uint64_t)number);
    put(&text, (uint64_t)(FIRST_AT_MS + number));
    put_text(&text, "key:0123");
    put_text(&text, "run.queue");
    put_text(&text, "0mhyv1x3k9q2zj7w4b8t");
    put_text(&text, NULL);
    put_text(&text, "request");
    put_text(&text, detail);
    sha256(text.data, text.size, out);
    hex_encode(out, SHA256_SIZE, hash);
    return jobj({"number", jint(number)}, {"at", jtime(FIRST_AT_MS + number)},
                {"actor", jstr("key:0123")}, {"action", jstr("run.queue")},
                {"target", jstr("0mhyv1x3k9q2zj7w4b8t")}, {"request_id", jstr("request")},
                {"detail", jstr(detail)}, {"hash", jstr(hash)});
}

static void test_a_sound_chain_is_followed(void **state)
{
    static const uint8_t zeroes[SHA256_SIZE];
    uint8_t one[SHA256_SIZE];
    uint8_t two[SHA256_SIZE];
    struct audit_chain chain = {0};
    struct err err = {0};
    scoped_json first = entry(zeroes, 1, NULL, one);
    scoped_json second = entry(one, 2, "", two);

    (void)state;
    assert_ok(audit_chain_add(&chain, first, &err), err);
    assert_ok(audit_chain_add(&chain, second, &err), err);
    assert_int_equal(chain.number, 2);
    assert_memory_equal(chain.head, two, SHA256_SIZE);
}

static void test_a_changed_entry_breaks_it(void **state)
{
    static const char *const members[] = {"actor", "action", "target", "request_id", "detail"};
    static const uint8_t zeroes[SHA256_SIZE];
    uint8_t hash[SHA256_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        scoped_json changed = entry(zeroes, 1, "detail", hash);
        scoped_json without = cJSON_Duplicate(changed, true);
        struct audit_chain chain = {0};
        struct err err = {0};

        assert_true(
            cJSON_ReplaceItemInObjectCaseSensitive(changed, members[i], jstr("another")));
        assert_int_equal(audit_chain_add(&chain, changed, &err), -1);
        assert_int_equal(err.kind, ERR_CONFLICT);
        cJSON_DeleteItemFromObjectCaseSensitive(without, members[i]);
        assert_int_equal(audit_chain_add(&chain, without, &err), -1);
    }
}

static void test_a_missing_or_strange_entry_breaks_it(void **state)
{
    static const uint8_t zeroes[SHA256_SIZE];
    uint8_t one[SHA256_SIZE];
    uint8_t two[SHA256_SIZE];
    struct audit_chain chain = {0};
    struct err err = {0};
    scoped_json first = entry(zeroes, 1, NULL, one);
    scoped_json second = entry(one, 2, NULL, two);
    scoped_json fresh = entry(zeroes, 2, NULL, two);
    scoped_json empty = cJSON_CreateObject();

    (void)state;
    assert_int_equal(audit_chain_add(&chain, second, &err), -1);
    assert_int_equal(audit_chain_add(&chain, empty, &err), -1);
    assert_ok(audit_chain_add(&chain, first, &err), err);
    assert_int_equal(audit_chain_add(&chain, first, &err), -1);
    assert_int_equal(audit_chain_add(&chain, fresh, &err), -1);
    assert_ok(audit_chain_add(&chain, second, &err), err);
}

TEST_MAIN(cmocka_unit_test(test_a_sound_chain_is_followed),
          cmocka_unit_test(test_a_changed_entry_breaks_it),
          cmocka_unit_test(test_a_missing_or_strange_entry_breaks_it))
