/* SPDX-License-Identifier: Apache-2.0 */
#include "net/address.h"

#include <arpa/inet.h>
#include <string.h>

#include "test.h"

/* As text in the one usual notation; "name" for what is no address. */
static const char *read_as(const char *text)
{
    static char out[INET6_ADDRSTRLEN];
    struct sockaddr_storage address;
    const void *bytes = &((struct sockaddr_in *)&address)->sin_addr;

    if (!address_parse(text, &address))
        return "name";
    if (address.ss_family == AF_INET6)
        bytes = &((struct sockaddr_in6 *)&address)->sin6_addr;
    assert_non_null(inet_ntop(address.ss_family, bytes, out, sizeof(out)));
    return out;
}

static void test_every_notation_of_an_address_is_known(void **state)
{
    static const struct {
        const char *text;
        const char *address;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1"},
        {"127.0.0.1.", "127.0.0.1"},
        {"127.1", "127.0.0.1"},
        {"127.0.1", "127.0.0.1"},
        {"127.65535", "127.0.255.255"},
        {"2130706433", "127.0.0.1"},
        {"017700000001", "127.0.0.1"},
        {"0x7f000001", "127.0.0.1"},
        {"0X7F.0.0.1", "127.0.0.1"},
        {"0177.0.0.01", "127.0.0.1"},
        {"0x7f.1", "127.0.0.1"},
        {"0", "0.0.0.0"},
        {"0x", "0.0.0.0"},
        {"0x.0x.0", "0.0.0.0"},
        {"00000000177.0.0.1", "127.0.0.1"},
        {"4294967295", "255.255.255.255"},
        {"::1", "::1"},
        {"[::1]", "::1"},
        {"0:0:0:0:0:0:0:1", "::1"},
        {"fe80::1%eth0", "fe80::1"},
        {"[fe80::1%25eth0]", "fe80::1"},
        {"::ffff:127.0.0.1", "::ffff:127.0.0.1"},
        {"::ffff:7f00:1", "::ffff:127.0.0.1"},
        {"4294967296", "name"},
        {"256.0.0.1", "name"},
        {"1.256.0.1", "name"},
        {"1.2.3.256", "name"},
        {"1.2.65536", "name"},
        {"1.16777216", "name"},
        {"1.2.3.4.5", "name"},
        {"1.2.3.4..", "name"},
        {"1..2", "name"},
        {".1", "name"},
        {"", "name"},
        {".", "name"},
        {"08", "name"},
        {"0x7g", "name"},
        {"-1", "name"},
        {"+1", "name"},
        {" 1", "name"},
        {"1 ", "name"},
        {"99999999999999999999999", "name"},
        {"example.com", "name"},
        {"127.0.0.1.example.com", "name"},
        {"[::1", "name"},
        {"::1::", "name"},
        {"12345::", "name"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (strcmp(read_as(cases[i].text), cases[i].address) != 0)
            fail_msg("%s was read as %s", cases[i].text, read_as(cases[i].text));
}

static bool is_public(const char *text)
{
    struct sockaddr_storage address;

    assert_true(address_parse(text, &address));
    return address_is_public((const struct sockaddr *)&address);
}

/* The first and the last of each closed range, and their neighbours. */
static void test_public_is_what_no_registry_reserves(void **state)
{
    static const char *const closed[] = {
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.100.100.200",
        "100.127.255.255",
        "127.0.0.0",
        "127.255.255.255",
        "168.63.129.16",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a00:1",
        "64:ff9b:1::808:808",
        "2002:a00:1::",
        "2002:7f00:1::1",
        "2001::1",
        "2001:10::1",
        "2001:1ff::1",
        "2001:db8::1",
        "3fff::1",
        "3fff:fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "100::1",
        "5f00::1",
        "4000::1",
        "1fff::1",
    };
    static const char *const open[] = {
        "1.1.1.1",        "8.8.8.8",        "9.255.255.255",      "11.0.0.0",
        "100.63.255.255", "100.128.0.0",    "126.255.255.255",    "128.0.0.0",
        "168.63.129.15",  "168.63.129.17",  "169.253.255.255",    "169.255.0.0",
        "172.15.255.255", "172.32.0.0",     "192.0.1.0",          "192.167.255.255",
        "192.169.0.0",    "198.17.255.255", "198.20.0.0",         "223.255.255.255",
        "2000::1",        "2001:200::1",    "2606:4700:4700::64", "2a00:1450::1",
        "3ffe::1",        "::ffff:8.8.8.8", "64:ff9b::808:808",   "2002:808:808::1",
        "2001:db7::1",    "3fff:1000::1",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(closed); i++)
        if (is_public(closed[i]))
            fail_msg("%s was taken for public", closed[i]);
    for (size_t i = 0; i < ARRAY_SIZE(open); i++)
        if (!is_public(open[i]))
            fail_msg("%s was refused", open[i]);
}

static void test_other_families_are_not_public(void **state)
{
    struct sockaddr_storage address = {.ss_family = AF_UNIX};

    (void)state;
    assert_false(address_is_public((const struct sockaddr *)&address));
    address.ss_family = AF_UNSPEC;
    assert_false(address_is_public((const struct sockaddr *)&address));
}

static void test_ranges_are_read_strictly(void **state)
{
    static const char *const good[] = {"10.1.0.0/16", "127.0.0.1", "0.0.0.0/0",
                                       "fd00::/8",    "::1",       "::1/128",
                                       "10.1.2.3/32", "::/0",      "10.128.0.0/9"};
    static const char *const bad[] = {
        "",
        "/",
        "/8",
        "10.1/16",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/x",
        "10.1.0.0/8",
        "fd00::1/8",
        "::/129",
        "localhost",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/8 ",
        "0x7f.0.0.1",
        "10.0.0.0/0008",
        "fe80::1%lo",
    };
    struct address_range range;
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_ok(address_range_parse(good[i], &range, &err), err);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (address_range_parse(bad[i], &range, &err) == 0)
            fail_msg("%s was taken", bad[i]);
}

static void test_a_range_has_its_own(void **state)
{
    static const struct {
        const char *range;
        const char *address;
        bool inside;
    } cases[] = {
        {"10.1.0.0/16", "10.1.0.0", true},
        {"10.1.0.0/16", "10.1.255.255", true},
        {"10.1.0.0/16", "10.2.0.0", false},
        {"10.1.0.0/16", "::ffff:10.1.2.3", true},
        {"10.1.0.0/16", "a01::", false},
        {"172.16.0.0/12", "172.31.0.1", true},
        {"172.16.0.0/12", "172.32.0.1", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1", "127.0.0.2", false},
        {"0.0.0.0/0", "192.168.0.1", true},
        {"0.0.0.0/0", "::1", false},
        {"fd00::/8", "fdff::1", true},
        {"fd00::/8", "fe00::1", false},
        {"::/0", "127.0.0.1", false},
        {"::1", "::1", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct address_range range;
        struct sockaddr_storage address;
        struct err err = {0};

        assert_ok(address_range_parse(cases[i].range, &range, &err), err);
        assert_true(address_parse(cases[i].address, &address));
        if (address_in_range((const struct sockaddr *)&address, &range) != cases[i].inside)
            fail_msg("%s in %s", cases[i].address, cases[i].range);
    }
}

static void test_urls_that_lead_inside_are_refused(void **state)
{
    static const char *const bad[] = {
        "http://localhost/",
        "http://LOCALHOST:8080/x",
        "http://localhost./",
        "http://a.localhost/",
        "http://ip6-localhost/",
        "http://metadata.google.internal/computeMetadata/v1/",
        "http://127.0.0.1/",
        "http://127.1/",
        "http://127.0.0.1./",
        "http://2130706433/",
        "http://017700000001/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://%31%32%37.0.0.1/",
        "http://0/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[fe80::1%25eth0]/",
        "http://[fd00:ec2::254]/",
        "http://user@example.com/",
        "http://user:password@example.com/",
        "http://:@example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "//example.com/",
        "example.com",
        "http://",
        "http:///x",
        "http://exa mple.com/",
        "http://example.com/\n",
        "",
    };
    static const char *const good[] = {
        "https://api.example.com/search",
        "http://example.com:8080/a?b=c#d",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::64]/",
        "https://localhost.example.com/",
        "https://notlocalhost/",
        "https://127.0.0.1.example.com/items",
        "HTTPS://EXAMPLE.COM/{id}",
    };
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (address_check_url(bad[i], NULL, 0, &err) == 0)
            fail_msg("%s was taken", bad[i]);
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_ok(address_check_url(good[i], NULL, 0, &err), err);
}

static void test_an_operator_may_allow_a_range(void **state)
{
    struct address_range ranges[2];
    struct err err = {0};

    (void)state;
    assert_ok(address_range_parse("10.1.0.0/16", &ranges[0], &err), err);
    assert_ok(address_range_parse("127.0.0.0/8", &ranges[1], &err), err);
    assert_ok(address_check_url("http://10.1.2.3/", ranges, 2, &err), err);
    assert_ok(address_check_url("http://localhost:8080/", ranges, 2, &err), err);
    assert_int_equal(address_check_url("http://10.2.0.1/", ranges, 2, &err), -1);
    assert_int_equal(address_check_url("http://[::1]/", ranges, 2, &err), -1);
    assert_int_equal(address_check_url("http://me@10.1.2.3/", ranges, 2, &err), -1);
}

TEST_MAIN(cmocka_unit_test(test_every_notation_of_an_address_is_known),
          cmocka_unit_test(test_public_is_what_no_registry_reserves),
          cmocka_unit_test(test_other_families_are_not_public),
          cmocka_unit_test(test_ranges_are_read_strictly),
          cmocka_unit_test(test_a_range_has_its_own),
          cmocka_unit_test(test_urls_that_lead_inside_are_refused),
          cmocka_unit_test(test_an_operator_may_allow_a_range))
