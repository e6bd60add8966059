/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "crypto/digest.h"

static void assert_hex(const uint8_t *bytes, const char *expected)
{
    char hex[SHA256_HEX_SIZE];

    hex_encode(bytes, SHA256_SIZE, hex);
    assert_string_equal(hex, expected);
}

/* FIPS 180-2, appendix B, and the empty message. */
static void test_sha256_gives_the_standards_answers(void **state)
{
    char *million_a = xcalloc(1, 1000000);
    uint8_t out[SHA256_SIZE];

    (void)state;
    sha256("", 0, out);
    assert_hex(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256(NULL, 0, out);
    assert_hex(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256("abc", 3, out);
    assert_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, out);
    assert_hex(out, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    memset(million_a, 'a', 1000000);
    sha256(million_a, 1000000, out);
    assert_hex(out, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million_a);
}

/* RFC 4231, cases 1, 2, 3 and 6. */
static void test_hmac_gives_the_standards_answers(void **state)
{
    uint8_t key[131];
    uint8_t data[50];
    uint8_t out[SHA256_SIZE];

    (void)state;
    memset(key, 0x0b, 20);
    hmac_sha256(key, 20, "Hi There", 8, out);
    assert_hex(out, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, out);
    assert_hex(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    memset(data, 0xdd, sizeof(data));
    hmac_sha256(key, 20, data, 50, out);
    assert_hex(out, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    hmac_sha256(key, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54, out);
    assert_hex(out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void test_hmac_takes_an_empty_key_and_message(void **state)
{
    uint8_t out[SHA256_SIZE];

    (void)state;
    hmac_sha256("", 0, "", 0, out);
    assert_hex(out, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    hmac_sha256(NULL, 0, NULL, 0, out);
    assert_hex(out, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void *hash_abc(void *failures)
{
    for (int i = 0; i < 2000; i++) {
        uint8_t out[SHA256_SIZE];

        sha256("abc", 3, out);
        if (out[0] != 0xba || out[31] != 0xad)
            ++*(int *)failures;
    }
    return NULL;
}

static void test_threads_hash_side_by_side(void **state)
{
    int failures[4] = {0};
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_abc, &failures[i]), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(failures[i], 0);
    }
}

static void test_bytes_are_equal_or_not(void **state)
{
    (void)state;
    assert_true(bytes_equal("abc", "abc", 3));
    assert_false(bytes_equal("abc", "abd", 3));
    assert_false(bytes_equal("xbc", "abc", 3));
    assert_true(bytes_equal("abc", "abd", 2));
    assert_true(bytes_equal("a", "b", 0));
}

/* Where two differ is told by how long a look takes, unless all of both is always looked at:
 * whoever compares these two to their end meets a page that can't be read. */
static void test_a_comparison_looks_at_every_byte(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *both =
        mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    scoped_str other = xcalloc(2, page);
    int status = 0;
    pid_t child;

    (void)state;
    assert_ptr_not_equal(both, MAP_FAILED);
    other[0] = 'x';
    assert_int_equal(mprotect(both + page, page, PROT_NONE), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        _exit(bytes_equal(both, other, 2 * page) ? 1 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    (void)munmap(both, 2 * page);
}

static void test_hex_goes_there_and_back(void **state)
{
    uint8_t bytes[3] = {0};
    char text[7];

    (void)state;
    hex_encode("\x00\xab\xff", 3, text);
    assert_string_equal(text, "00abff");
    assert_true(hex_decode("00abff", bytes, 3));
    assert_memory_equal(bytes, "\x00\xab\xff", 3);
    assert_true(hex_decode("00ABfF", bytes, 3));
    assert_memory_equal(bytes, "\x00\xab\xff", 3);
    assert_true(hex_decode("", bytes, 0));
}

static void test_what_is_not_so_many_hex_digits_is_refused(void **state)
{
    static const char *const wrong[] = {"",       "0",       "00abf",  "00abff0",  "00abff00",
                                        "0gabff", "00 abff", "0x0abf", "00abf\xff"};
    uint8_t bytes[3];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_false(hex_decode(wrong[i], bytes, sizeof(bytes)));
}

/* RFC 4648 section 10, and two digits that tell the alphabets apart. */
static const struct {
    const char *bytes;
    const char *padded;
    const char *url;
} encodings[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xff\xef\xbe", "/+++", "_---"},
    {"\xfb", "+w==", "-w"},
};

static void test_base64_gives_the_standards_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(encodings); i++) {
        size_t size = strlen(encodings[i].bytes);
        scoped_str padded = base64_encode(encodings[i].bytes, size);
        scoped_str url = base64url_encode(encodings[i].bytes, size);
        size_t back_size = 99;
        scoped_str back = base64url_decode(encodings[i].url, &back_size);

        assert_string_equal(padded, encodings[i].padded);
        assert_string_equal(url, encodings[i].url);
        assert_non_null(back);
        assert_int_equal(back_size, size);
        assert_memory_equal(back, encodings[i].bytes, size);
    }
}

static void test_every_length_survives_base64url(void **state)
{
    uint8_t bytes[200];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 37 + 11);
    for (size_t size = 0; size < sizeof(bytes); size++) {
        scoped_str text = base64url_encode(bytes, size);
        size_t back_size = 0;
        scoped_str back = base64url_decode(text, &back_size);

        assert_non_null(back);
        assert_int_equal(back_size, size);
        assert_memory_equal(back, bytes, size);
    }
}

static void test_malformed_base64url_is_refused(void **state)
{
    static const char *const wrong[] = {
        "Z",    "Zg==", "Zg=",  "Zm9vY", "Zm 9v", "Zm9v\n", " Zm9",
        "Zm+v", "Zm/v", "Zm.v", "Zh",    "Zm9",   "Z\xc3g", "====",
    };
    size_t size = 7;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_null(base64url_decode(wrong[i], &size));
    assert_int_equal(size, 7);
}

static void test_base62_writes_256_bits_as_one_number(void **state)
{
    static const uint8_t none[SHA256_SIZE];
    uint8_t bytes[SHA256_SIZE] = {0};
    char text[BASE62_256_LENGTH + 1];

    (void)state;
    base62_256(none, text);
    assert_string_equal(text, "0000000000000000000000000000000000000000000");
    bytes[31] = 63;
    base62_256(bytes, text);
    assert_string_equal(text, "0000000000000000000000000000000000000000011");
    memset(bytes, 0xff, sizeof(bytes));
    base62_256(bytes, text);
    assert_string_equal(text, "yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1");
    sha256("abc", 3, bytes);
    base62_256(bytes, text);
    assert_string_equal(text, "iDUK5mbjE0q8kxKur8d0acwb3mlMY7nzH5i6WpR5bav");
}

TEST_MAIN(cmocka_unit_test(test_base62_writes_256_bits_as_one_number),
          cmocka_unit_test(test_sha256_gives_the_standards_answers),
          cmocka_unit_test(test_hmac_gives_the_standards_answers),
          cmocka_unit_test(test_hmac_takes_an_empty_key_and_message),
          cmocka_unit_test(test_threads_hash_side_by_side),
          cmocka_unit_test(test_bytes_are_equal_or_not),
          cmocka_unit_test(test_a_comparison_looks_at_every_byte),
          cmocka_unit_test(test_hex_goes_there_and_back),
          cmocka_unit_test(test_what_is_not_so_many_hex_digits_is_refused),
          cmocka_unit_test(test_base64_gives_the_standards_answers),
          cmocka_unit_test(test_every_length_survives_base64url),
          cmocka_unit_test(test_malformed_base64url_is_refused))
