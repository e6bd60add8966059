/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mailbox.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"

#define LETTERS_AND_DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

void mailbox_done(struct mailbox *mailbox)
{
    free(mailbox->name);
    free(mailbox->address);
    *mailbox = (struct mailbox){0};
}

/* C0, DEL, C1, and what else ends a line or turns its direction around. */
static bool is_control(const char *character, size_t size)
{
    const unsigned char *at = (const unsigned char *)character;

    if (size == 1)
        return at[0] < ' ' || at[0] == 0x7f;
    if (size == 2)
        return at[0] == 0xc2 && at[1] < 0xa0;
    if (size == 3 && at[0] == 0xe2 && at[1] == 0x80) /* U+2028 to U+202E */
        return at[2] >= 0xa8 && at[2] <= 0xae;
    return size == 3 && at[0] == 0xe2 && at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9;
}

bool mailbox_name_valid(const char *name)
{
    size_t length = strnlen(name, MAILBOX_NAME_MAX_BYTES + 1);

    if (!length || length > MAILBOX_NAME_MAX_BYTES || name[0] == ' ' || name[length - 1] == ' ')
        return false;
    for (size_t at = 0, size; at < length; at += size) {
        size = utf8_first(name + at, length - at);
        if (!size || is_control(name + at, size) || strchr("<>", name[at]))
            return false;
    }
    return true;
}

static bool domain_valid(const char *domain)
{
    static const char allowed[] = LETTERS_AND_DIGITS "-.";
    size_t length = strlen(domain);

    return length && strspn(domain, allowed) == length && domain[0] != '.'
           && domain[length - 1] != '.' && !strstr(domain, "..");
}

bool mailbox_address_valid(const char *address)
{
    static const char local[] = LETTERS_AND_DIGITS "!#$%&'*+-/=?^_`{|}~.[]";
    size_t length = strnlen(address, MAILBOX_ADDRESS_MAX_BYTES + 1);
    size_t local_length = strspn(address, local);

    return length <= MAILBOX_ADDRESS_MAX_BYTES && local_length
           && local_length <= MAILBOX_LOCAL_MAX_BYTES && address[local_length] == '@'
           && domain_valid(address + local_length + 1);
}

bool mailbox_parse(const char *text, struct mailbox *out)
{
    const char *bracket = text ? strchr(text, '<') : NULL;
    size_t length = text ? strlen(text) : 0;

    *out = (struct mailbox){0};
    if (!bracket || bracket == text || bracket[-1] != ' ' || text[length - 1] != '>')
        return false;
    out->name = xstrndup(text, (size_t)(bracket - 1 - text));
    out->address = xstrndup(bracket + 1, (size_t)(text + length - 1 - (bracket + 1)));
    if (mailbox_name_valid(out->name) && mailbox_address_valid(out->address))
        return true;
    mailbox_done(out);
    return false;
}
