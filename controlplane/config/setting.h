/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_SETTING_H
#define CONFIG_SETTING_H
#include "config/config.h"
#include "json/json.h"

/*
 * One setting: its names in YAML ("github.api_url"), in the environment and as a flag, and
 * how its text becomes a member of struct config. The value that stood there is released.
 */
enum setting_type {
    SETTING_TEXT,    /* char *: up to SETTING_TEXT_MAX visible characters and blanks */
    SETTING_PATH,    /* char *: made absolute against the working directory */
    SETTING_URL,     /* char *: http:// or https://, without the slash at its end */
    SETTING_COMMAND, /* char *: a command line whose program, when a relative path, is made
                        absolute */
    SETTING_LISTEN,  /* listen_address and listen_port together */
    SETTING_INT,     /* int from min to max */
    SETTING_INT64,   /* int64_t from min to max */
    SETTING_NUMBER,  /* double, more than min, up to max */
    SETTING_BOOL,    /* true, false, 1, 0 */
    SETTING_SECRET,  /* struct secret * */
    SETTING_SECRETS, /* api_keys: separated by commas, or a YAML list */
    SETTING_CHOICE,  /* char *: a word of the enum setting_choice in min */
    SETTING_RANGES,  /* struct config_ranges: separated by commas, or a YAML list */
    SETTING_LIST,    /* struct config_list: the same */
};

enum setting_choice {
    CHOICE_SANDBOX,    /* strict, auto, off */
    CHOICE_ON_FINDING, /* refuse, draft */
    CHOICE_PULL,       /* always, missing, never */
    CHOICE_TOKEN_VIA,  /* override, secret_manager */
};

#define SETTING_TEXT_MAX 4096

struct setting {
    const char *yaml;
    const char *env;
    const char *flag;
    enum setting_type type;
    size_t offset;
    int64_t min;
    int64_t max;
};

/* ERR_INVALID with a sentence that doesn't name the setting (the caller knows where it stood)
 * and never quotes a secret. `base` is the struct that `offset` counts from: a struct config,
 * unless the setting is none of SETTING_LISTEN and SETTING_SECRETS. */
int setting_from_text(const struct setting *setting, void *base, const char *text,
                      struct err *err) CHECKED;
int setting_from_json(const struct setting *setting, void *base, const cJSON *value,
                      struct err *err) CHECKED;

/* `path` as an absolute one; it needn't exist. The old value of *out is released. */
int setting_path(const char *path, char **out, struct err *err) CHECKED;
#endif
