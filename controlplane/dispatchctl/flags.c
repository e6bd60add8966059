/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/flags.h"

#include <string.h>

#define MS_OF_DAY (24 * 3600 * 1000LL)

static const struct {
    const char *name;
    int64_t ms;
} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", MS_OF_DAY}};

/* The unit that `text` begins with; NULL. */
static const char *take_unit(const char *text, int64_t *out_ms)
{
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        size_t length = strlen(units[i].name);

        if (strncmp(text, units[i].name, length) == 0) {
            *out_ms = units[i].ms;
            return text + length;
        }
    }
    return NULL;
}

bool duration_parse(const char *text, int64_t *out_ms)
{
    int64_t total = 0;
    bool bare = text[strspn(text, "0123456789")] == '\0';

    while (*text) {
        int64_t number = 0;
        int64_t unit_ms = 1000;
        size_t digits = strspn(text, "0123456789");

        if (digits < 1 || digits > 9)
            return false;
        for (; digits; digits--)
            number = number * 10 + (*text++ - '0');
        if (!bare && !(text = take_unit(text, &unit_ms)))
            return false;
        total += number * unit_ms;
        if (total > DURATION_MAX_DAYS * MS_OF_DAY)
            return false;
    }
    *out_ms = total;
    return total > 0;
}

/* --- Flags -------------------------------------------------------------------------------- */

struct reading {
    const char *const *argv;
    const struct flag_list *lists;
    size_t n_lists;
    char *out; /* the options, by offsets */
    struct err *err;
};

static const struct flag *find(const struct reading *reading, const char *name, size_t length,
                               char letter)
{
    for (size_t i = 0; i < reading->n_lists; i++) {
        const struct flag_list *list = &reading->lists[i];

        for (size_t j = 0; j < list->count; j++) {
            const struct flag *flag = &list->flags[j];

            if (name ? strlen(flag->name) == length && memcmp(flag->name, name, length) == 0
                     : letter && flag->letter == letter)
                return flag;
        }
    }
    return NULL;
}

static bool is_choice(const char *choices, const char *value)
{
    size_t length = strlen(value);

    while (*choices) {
        size_t size = strcspn(choices, " ");

        if (size == length && memcmp(choices, value, size) == 0)
            return true;
        choices += size;
        choices += strspn(choices, " ");
    }
    return false;
}

static int store(const struct reading *reading, const struct flag *flag, const char *value)
{
    char *at = reading->out + flag->offset;

    if (flag->type == FLAG_SWITCH) {
        if (value)
            return err_set(reading->err, ERR_INVALID, "--%s takes no value", flag->name);
        *(bool *)at = true;
        return 0;
    }
    if (!value || !*value)
        return err_set(reading->err, ERR_INVALID, "--%s needs a value: %s", flag->name,
                       flag->value);
    if (flag->choices && !is_choice(flag->choices, value))
        return err_set(reading->err, ERR_INVALID, "--%s: expected one of: %s", flag->name,
                       flag->choices);
    if (flag->type == FLAG_TEXT) {
        *(const char **)at = value;
        return 0;
    }
    if (!duration_parse(value, (int64_t *)at))
        return err_set(reading->err, ERR_INVALID,
                       "--%s: expected a duration, as in 90s, 5m or 1h30m", flag->name);
    return 0;
}

/* A value that stands in a word of its own; NULL at the end. */
static const char *next_word(struct reading *reading)
{
    return *reading->argv ? *reading->argv++ : NULL;
}

static int read_long(struct reading *reading, const char *word)
{
    size_t length = strcspn(word, "=");
    const struct flag *flag = find(reading, word, length, 0);

    /* A token in argv is there for every user of the machine to read. */
    if (!flag && length == 5 && memcmp(word, "token", 5) == 0)
        return err_set(reading->err, ERR_INVALID,
                       "there is no --token, as other users see command lines: put it into "
                       "$DISPATCH_TOKEN, or name a file with --token-file");
    if (!flag)
        return err_set(reading->err, ERR_INVALID, "--%.*s: unknown flag", (int)length, word);
    if (word[length] == '=')
        return store(reading, flag, word + length + 1);
    return store(reading, flag, flag->type == FLAG_SWITCH ? NULL : next_word(reading));
}

static int read_letters(struct reading *reading, const char *letters)
{
    for (; *letters; letters++) {
        const struct flag *flag = find(reading, NULL, 0, *letters);

        if (!flag)
            return err_set(reading->err, ERR_INVALID, "-%c: unknown flag", *letters);
        if (flag->type != FLAG_SWITCH)
            return store(reading, flag, letters[1] ? letters + 1 : next_word(reading));
        if (store(reading, flag, NULL) < 0)
            return -1;
    }
    return 0;
}

int flags_read(const char *const *argv, const struct flag_list *lists, size_t n_lists,
               struct options *out, const char **words, size_t *out_n_words, struct err *err)
{
    struct reading reading = {argv, lists, n_lists, (char *)out, err};
    bool only_words = false;

    *out_n_words = 0;
    for (const char *word; (word = next_word(&reading));) {
        int result = 0;

        if (only_words || word[0] != '-' || !word[1])
            words[(*out_n_words)++] = word;
        else if (strcmp(word, "--") == 0)
            only_words = true;
        else
            result = word[1] == '-' ? read_long(&reading, word + 2)
                                    : read_letters(&reading, word + 1);
        if (result < 0)
            return -1;
    }
    return 0;
}

/* Does a flag's value stand in the next word? */
static bool value_comes_next(const struct reading *reading, const char *word)
{
    bool is_long = word[1] == '-';
    const struct flag *flag = is_long ? find(reading, word + 2, strlen(word + 2), 0)
                                      : find(reading, NULL, 0, word[1]);

    return flag && flag->type != FLAG_SWITCH && (is_long || !word[2]);
}

size_t flags_leading(const char *const *argv, const struct flag_list *list)
{
    const struct reading reading = {.lists = list, .n_lists = 1};
    size_t at = 0;

    while (argv[at] && argv[at][0] == '-' && argv[at][1]) {
        bool two = value_comes_next(&reading, argv[at]) && argv[at + 1];

        at += two ? 2 : 1;
    }
    return at;
}
