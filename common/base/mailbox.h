/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MAILBOX_H
#define BASE_MAILBOX_H
#include <stdbool.h>

/*
 * A person as e-mail and git write one: NAME <ADDRESS>. What passes here stays on one line and
 * is one person, wherever it is written. Safe from any thread.
 */
#define MAILBOX_NAME_MAX_BYTES 128
#define MAILBOX_ADDRESS_MAX_BYTES 254 /* RFC 5321, 4.5.3.1.3 less the brackets */
#define MAILBOX_LOCAL_MAX_BYTES 64

struct mailbox {
    char *name; /* both owned */
    char *address;
};

#define scoped_mailbox __attribute__((cleanup(mailbox_done))) struct mailbox
void mailbox_done(struct mailbox *mailbox);

/* False, with nothing in `out`, for anything that isn't exactly one. NULL is none. */
bool mailbox_parse(const char *text, struct mailbox *out);

/* UTF-8 without controls and angle brackets, and no blank around it. */
bool mailbox_name_valid(const char *name);

/* LOCAL@DOMAIN in visible ASCII; no quoted forms, which nobody has. */
bool mailbox_address_valid(const char *address);
#endif
