/* SPDX-License-Identifier: Apache-2.0 */
#include "config/setting.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"

static void replace(char **member, char *value)
{
    free(*member);
    *member = value;
}

static int check_text(const char *text, struct err *err)
{
    if (!*text)
        return err_set(err, ERR_INVALID, "expected some text");
    if (strlen(text) > SETTING_TEXT_MAX)
        return err_set(err, ERR_INVALID, "longer than %d characters", SETTING_TEXT_MAX);
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return err_set(err, ERR_INVALID, "control characters are not allowed");
    return 0;
}

static int read_whole(const char *text, int64_t min, int64_t max, int64_t *out, struct err *err)
{
    char *end;
    long long number;

    errno = 0;
    number = strtoll(text, &end, 10);
    if (errno || end == text || *end || text[0] == ' ' || number < min || number > max)
        return err_set(err, ERR_INVALID, "expected a whole number from %lld to %lld",
                       (long long)min, (long long)max);
    *out = number;
    return 0;
}

int setting_path(const char *path, char **out, struct err *err)
{
    char here[PATH_MAX];

    if (path[0] == '/') {
        replace(out, xstrdup(path));
        return 0;
    }
    if (!getcwd(here, sizeof(here)))
        return err_set_errno(err, errno, "the working directory");
    replace(out, xasprintf("%s/%s", here, path));
    return 0;
}

static int set_url(const char *text, char **out, struct err *err)
{
    size_t length = strlen(text);

    if (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0)
        return err_set(err, ERR_INVALID, "expected a URL that begins with https:// or http://");
    if (strpbrk(text, " \"<>\\^`{|}#?") || strchr(text, '@'))
        return err_set(err, ERR_INVALID,
                       "a base URL has no query, fragment, user name or blanks");
    while (length > 8 && text[length - 1] == '/')
        length--;
    replace(out, xstrndup(text, length));
    return 0;
}

/* "host:port", "[v6]:port" or ":port" (every address). */
static int set_listen(const char *text, struct config *config, struct err *err)
{
    const char *colon = strrchr(text, ':');
    int64_t port;
    size_t length;

    if (!colon)
        return err_set(err, ERR_INVALID, "expected ADDRESS:PORT, as in 127.0.0.1:5000");
    if (read_whole(colon + 1, 0, 65535, &port, err) < 0)
        return err_wrap(err, "port");
    length = (size_t)(colon - text);
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']')
        replace(&config->listen_address, xstrndup(text + 1, length - 2));
    else if (length == 0)
        replace(&config->listen_address, xstrdup("0.0.0.0"));
    else if (length == strlen("localhost") && strncmp(text, "localhost", length) == 0)
        replace(&config->listen_address, xstrdup("127.0.0.1"));
    else if (memchr(text, ':', length))
        return err_set(err, ERR_INVALID, "an IPv6 address stands in brackets: [::1]:5000");
    else
        replace(&config->listen_address, xstrndup(text, length));
    config->listen_port = (int)port;
    return 0;
}

/* The agent runs in the checkout, so a relative program is taken from here. */
static int set_command(const char *text, char **out, struct err *err)
{
    size_t word = strcspn(text, " \t");
    const char *slash = memchr(text, '/', word);
    scoped_str program = NULL;
    scoped_buf whole = {0};

    if (!slash || text[0] == '/' || text[0] == '"' || text[0] == '\'') {
        replace(out, xstrdup(text));
        return 0;
    }
    scoped_str relative = xstrndup(text, word);
    if (setting_path(relative, &program, err) < 0)
        return -1;
    buf_append_str(&whole, "\"");
    for (const char *c = program; *c; c++) {
        if (*c == '"' || *c == '\\')
            buf_append_str(&whole, "\\");
        buf_append(&whole, c, 1);
    }
    buf_printf(&whole, "\"%s", text + word);
    replace(out, buf_take(&whole));
    return 0;
}

static int set_bool(const char *text, bool *out, struct err *err)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0)
        *out = true;
    else if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
        *out = false;
    else
        return err_set(err, ERR_INVALID, "expected true or false");
    return 0;
}

static void drop_keys(struct config *config)
{
    for (size_t i = 0; i < config->n_api_keys; i++)
        secret_free(config->api_keys[i]);
    free(config->api_keys);
    config->api_keys = NULL;
    config->n_api_keys = 0;
}

/* Keys go into an Authorization header: visible ASCII only. */
static int add_key(struct config *config, const char *text, struct err *err)
{
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || (unsigned char)*c >= 0x7f)
            return err_set(err, ERR_INVALID, "a key may only have visible ASCII characters");
    config->api_keys =
        xrealloc(config->api_keys, (config->n_api_keys + 1) * sizeof(*config->api_keys));
    config->api_keys[config->n_api_keys++] = secret_new(text);
    return 0;
}

static int set_keys(const char *text, struct config *config, struct err *err)
{
    scoped_str copy = xstrdup(text);
    char *rest = copy;

    drop_keys(config);
    for (char *key = strsep(&rest, ","); key; key = strsep(&rest, ",")) {
        key += strspn(key, " \t");
        key[strcspn(key, " \t")] = '\0';
        if (*key && add_key(config, key, err) < 0)
            return -1;
    }
    secret_wipe(copy, strlen(text));
    return 0;
}

static int set_number(const struct setting *setting, const char *text, void *member,
                      struct err *err)
{
    int64_t number;

    if (read_whole(text, setting->min, setting->max, &number, err) < 0)
        return -1;
    if (setting->type == SETTING_INT)
        *(int *)member = (int)number;
    else
        *(int64_t *)member = number;
    return 0;
}

/* Digits and one point: no exponents, no infinities. */
static int set_decimal(const struct setting *setting, const char *text, double *member,
                       struct err *err)
{
    char *end;
    double number = strtod(text, &end);

    if (text[strspn(text, "0123456789.")] || end == text || *end
        || number <= (double)setting->min || number > (double)setting->max)
        return err_set(err, ERR_INVALID, "expected a number above %lld, up to %lld",
                       (long long)setting->min, (long long)setting->max);
    *member = number;
    return 0;
}

static int set_choice(const struct setting *setting, const char *text, char **member,
                      struct err *err)
{
    static const char *const choices[][4] = {
        [CHOICE_SANDBOX] = {"strict", "auto", "off"},
        [CHOICE_ON_FINDING] = {"refuse", "draft"},
        [CHOICE_PULL] = {"always", "missing", "never"},
        [CHOICE_TOKEN_VIA] = {"override", "secret_manager"},
    };
    const char *const *words = choices[setting->min];

    for (size_t i = 0; words[i]; i++) {
        if (strcmp(words[i], text) == 0) {
            replace(member, xstrdup(text));
            return 0;
        }
    }
    if (!words[2])
        return err_set(err, ERR_INVALID, "expected %s or %s", words[0], words[1]);
    return err_set(err, ERR_INVALID, "expected %s, %s or %s", words[0], words[1], words[2]);
}

/* --- Lists -------------------------------------------------------------------------------- */

/* Each word of a text between commas, without the blanks around it. */
static int each_word(const char *text,
                     int (*add)(void *list, const char *word, struct err *err), void *list,
                     struct err *err)
{
    scoped_str copy = xstrdup(text);
    char *rest = copy;

    for (char *word = strsep(&rest, ","); word; word = strsep(&rest, ",")) {
        word += strspn(word, " \t");
        word[strcspn(word, " \t")] = '\0';
        if (*word && add(list, word, err) < 0)
            return -1;
    }
    return 0;
}

static int each_item(const cJSON *array,
                     int (*add)(void *list, const char *word, struct err *err), void *list,
                     struct err *err)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, array)
    {
        if (!cJSON_IsString(item))
            return err_set(err, ERR_INVALID, "expected a list of texts");
        if (add(list, item->valuestring, err) < 0)
            return -1;
    }
    return 0;
}

static int add_text(void *to, const char *text, struct err *err)
{
    struct config_list *list = to;

    if (list->count == LIST_MAX)
        return err_set(err, ERR_INVALID, "more than %d", LIST_MAX);
    if (check_text(text, err) < 0)
        return -1;
    list->texts = xrealloc(list->texts, (list->count + 1) * sizeof(*list->texts));
    list->texts[list->count++] = xstrdup(text);
    return 0;
}

/* --- Ranges of addresses ------------------------------------------------------------------ */

static int add_range(void *to, const char *text, struct err *err)
{
    struct config_ranges *ranges = to;
    struct address_range range;
    size_t count = ranges->count;

    if (count == RANGES_MAX)
        return err_set(err, ERR_INVALID, "more than %d ranges", RANGES_MAX);
    if (address_range_parse(text, &range, err) < 0)
        return -1;
    ranges->all = xrealloc(ranges->all, (count + 1) * sizeof(*ranges->all));
    ranges->texts = xrealloc(ranges->texts, (count + 2) * sizeof(*ranges->texts));
    ranges->all[count] = range;
    ranges->texts[count] = xstrdup(text);
    ranges->texts[count + 1] = NULL;
    ranges->count++;
    return 0;
}

/* --- By type ------------------------------------------------------------------------------ */

int setting_from_text(const struct setting *setting, void *base, const char *text,
                      struct err *err)
{
    void *member = (char *)base + setting->offset;

    if (check_text(text, err) < 0)
        return -1;
    switch (setting->type) {
    case SETTING_TEXT:
        replace(member, xstrdup(text));
        return 0;
    case SETTING_PATH:
        return setting_path(text, member, err);
    case SETTING_URL:
        return set_url(text, member, err);
    case SETTING_COMMAND:
        return set_command(text, member, err);
    case SETTING_LISTEN:
        return set_listen(text, base, err);
    case SETTING_INT:
    case SETTING_INT64:
        return set_number(setting, text, member, err);
    case SETTING_BOOL:
        return set_bool(text, member, err);
    case SETTING_SECRET:
        secret_free(*(struct secret **)member);
        *(struct secret **)member = secret_new(text);
        return 0;
    case SETTING_SECRETS:
        return set_keys(text, base, err);
    case SETTING_NUMBER:
        return set_decimal(setting, text, member, err);
    case SETTING_CHOICE:
        return set_choice(setting, text, member, err);
    case SETTING_RANGES:
        config_ranges_done(member);
        return each_word(text, add_range, member, err);
    case SETTING_LIST:
        config_list_done(member);
        return each_word(text, add_text, member, err);
    }
    return err_set(err, ERR_INTERNAL, "a setting of no known type");
}

static int set_key_list(struct config *config, const cJSON *list, struct err *err)
{
    const cJSON *item;

    drop_keys(config);
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item) || !*item->valuestring)
            return err_set(err, ERR_INVALID, "expected a list of texts");
        if (add_key(config, item->valuestring, err) < 0)
            return -1;
    }
    return 0;
}

static bool is_number(enum setting_type type)
{
    return type == SETTING_INT || type == SETTING_INT64 || type == SETTING_NUMBER;
}

static const char *expected(enum setting_type type)
{
    switch (type) {
    case SETTING_INT:
    case SETTING_INT64:
        return "expected a whole number";
    case SETTING_NUMBER:
        return "expected a number";
    case SETTING_BOOL:
        return "expected true or false";
    case SETTING_SECRETS:
    case SETTING_RANGES:
    case SETTING_LIST:
        return "expected a list of texts";
    default:
        return "expected text";
    }
}

int setting_from_json(const struct setting *setting, void *base, const cJSON *value,
                      struct err *err)
{
    void *member = (char *)base + setting->offset;
    char text[64];

    if (cJSON_IsNull(value))
        return 0;
    if (setting->type == SETTING_SECRETS && cJSON_IsArray(value))
        return set_key_list(base, value, err);
    if (setting->type == SETTING_RANGES && cJSON_IsArray(value)) {
        config_ranges_done(member);
        return each_item(value, add_range, member, err);
    }
    if (setting->type == SETTING_LIST && cJSON_IsArray(value)) {
        config_list_done(member);
        return each_item(value, add_text, member, err);
    }
    if (cJSON_IsString(value))
        return setting_from_text(setting, base, value->valuestring, err);
    if (setting->type == SETTING_BOOL && cJSON_IsBool(value))
        return setting_from_text(setting, base, cJSON_IsTrue(value) ? "true" : "false", err);
    if (is_number(setting->type) && cJSON_IsNumber(value)) {
        (void)snprintf(text, sizeof(text), setting->type == SETTING_NUMBER ? "%.9f" : "%.17g",
                       value->valuedouble);
        return setting_from_text(setting, base, text, err);
    }
    return err_set(err, ERR_INVALID, "%s", expected(setting->type));
}
