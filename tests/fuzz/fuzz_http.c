/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes on a connection, through libmicrohttpd, the strict look at the head, the router, the
 * credentials, the body's reader and the handlers. {DISPATCH}, {ADMIN} and {TASK} stand for
 * tokens and {RUN} for a run's id, which differ each time. */
#include "served.h"

static void put_in(struct buf *out, const struct served *served, const char *text, size_t size)
{
    const struct {
        const char *name;
        const char *value;
    } known[] = {{"{DISPATCH}", served->dispatch_token},
                 {"{ADMIN}", served->admin_token},
                 {"{TASK}", served->run.task_token},
                 {"{RUN}", served->run.id_text}};

    for (size_t at = 0; at < size;) {
        size_t taken = 0;

        for (size_t i = 0; !taken && i < ARRAY_SIZE(known); i++) {
            size_t length = strlen(known[i].name);

            if (size - at >= length && memcmp(text + at, known[i].name, length) == 0) {
                buf_append_str(out, known[i].value);
                taken = length;
            }
        }
        if (!taken) {
            buf_append(out, text + at, 1);
            taken = 1;
        }
        at += taken;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct served *served = served_get();
    scoped_buf said = {0};
    scoped_buf answer = {0};

    put_in(&said, served, (const char *)data, size);
    served_say(served, said.data ? said.data : "", said.size, &answer);
    (void)served_status(&answer);
    return 0;
}
