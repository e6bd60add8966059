/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/event_reader.h"

#include <string.h>

#include "base/alloc.h"
#include "test.h"

/* All events of the text, fed in pieces of `piece` bytes, as "id/type/data|" each. */
static char *heard(const char *text, size_t piece)
{
    struct event_reader reader = {0};
    scoped_buf out = {0};
    size_t left = strlen(text);

    while (left) {
        struct err err = {0};
        struct event event;
        size_t size = left < piece ? left : piece;

        assert_ok(event_reader_feed(&reader, text, size, &err), err);
        while (event_reader_next(&reader, &event))
            buf_printf(&out, "%s/%s/%s|", event.id, event.type, event.data);
        text += size;
        left -= size;
    }
    event_reader_done(&reader);
    return buf_take(&out);
}

static void test_events_whatever_the_pieces(void **state)
{
    static const struct {
        const char *text;
        const char *events;
    } cases[] = {
        {"id: 1\nevent: status\ndata: {}\n\n", "1/status/{}|"},
        {"data: a\ndata:b\ndata\n\n", "/message/a\nb\n|"},
        {": heartbeat\n\nid:7\n\ndata: x\n\ndata: y\n\n", "7/message/x|7/message/y|"},
        {"event: a\r\ndata: 1\r\n\r\nevent: b\rdata: 2\r\rdata: 3\n\n",
         "/a/1|/b/2|/message/3|"},
        {"retry: 5\nunknown: x\ndata:  two blanks\n\n", "/message/ two blanks|"},
        {"event: lost\n\ndata: kept\n\n", "/message/kept|"},
        {"data: a\r\n\ndata: b\r\n\n", "/message/a|/message/b|"},
        {"data: not ended\n", ""},
        {"id: 1\ndata: a\n\nid: 2\nevent: e\ndata: b\n\n", "1/message/a|2/e/b|"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (size_t piece = 1; piece <= strlen(cases[i].text); piece++) {
            scoped_str events = heard(cases[i].text, piece);

            assert_string_equal(events, cases[i].events);
        }
}

static void test_an_event_without_end_is_refused(void **state)
{
    struct event_reader reader = {0};
    char *piece = xcalloc(1, 65536);
    struct err err = {0};
    struct event event;
    int result = 0;

    (void)state;
    memset(piece, 'x', 65535);
    for (int i = 0; i < 100 && result == 0; i++) {
        result = event_reader_feed(&reader, piece, 65535, &err);
        assert_false(event_reader_next(&reader, &event));
    }
    assert_int_equal(result, -1);
    assert_int_equal(err.kind, ERR_TOO_LARGE);
    event_reader_restart(&reader);
    memcpy(piece, "data: ", 6);
    piece[65534] = '\n';
    for (result = 0; result == 0;)
        if ((result = event_reader_feed(&reader, piece, 65535, &err)) == 0)
            assert_false(event_reader_next(&reader, &event));
    assert_int_equal(err.kind, ERR_TOO_LARGE);
    event_reader_done(&reader);
    free(piece);
}

static void test_a_new_connection_keeps_the_last_id_alone(void **state)
{
    static const char first[] = "id: 41\ndata: a\n\nevent: half\ndata: of";
    static const char second[] = "data: whole\n\n";
    struct event_reader reader = {0};
    struct err err = {0};
    struct event event;

    (void)state;
    assert_ok(event_reader_feed(&reader, first, strlen(first), &err), err);
    assert_true(event_reader_next(&reader, &event));
    assert_false(event_reader_next(&reader, &event));
    event_reader_restart(&reader);
    assert_string_equal(reader.last_id, "41");
    assert_ok(event_reader_feed(&reader, second, strlen(second), &err), err);
    assert_true(event_reader_next(&reader, &event));
    assert_string_equal(event.type, "message");
    assert_string_equal(event.data, "whole");
    event_reader_done(&reader);
}

TEST_MAIN(cmocka_unit_test(test_events_whatever_the_pieces),
          cmocka_unit_test(test_an_event_without_end_is_refused),
          cmocka_unit_test(test_a_new_connection_keeps_the_last_id_alone))
