/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H
#include "base/err.h"
#include "base/secret.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What the operator wants: flags over environment over YAML (--config FILE) over defaults.
 * One table in config.c lists every setting with its three names. A wrong value is refused
 * with where it stood: "dispatch.yaml:12: max_workers: expected a whole number from 0 to
 * 10000", "CODEBOT_MAX_WORKERS: ...", "--port: ...". Unknown YAML keys are refused.
 * Strings are owned by the struct; it doesn't change while threads run.
 */
struct config {
    char *listen_address; /* "127.0.0.1" */
    int listen_port;      /* 5000; 0: any */
    char *database;       /* var/dispatch.db */
    char *public_url;     /* without a slash at the end; NULL: http:// + listen */
    char *launcher;       /* process */
    char *runner;         /* absolute path of dispatch-runner */
    char *work_dir;       /* var/work */
    char *default_agent;  /* claude-code */
    char *agent_command;  /* NULL: agent `command` isn't offered */
    char *ca_file;        /* NULL: the system's */
    struct secret **api_keys;
    size_t n_api_keys;
    int max_workers;    /* runs in flight; 0: no limit of ours; -1: 1 for process, else 0 */
    int max_queue_size; /* pending at most */
    int64_t task_retention_s;
    int64_t run_timeout_s;   /* wall clock of a run from its claim */
    int64_t claim_timeout_s; /* a launched job must be claimed within this */
    int64_t queue_timeout_s; /* a pending run gives up after this */
    int64_t lost_after_s;    /* without a heartbeat */
    int connections_max;
    int connections_per_address_max;
    char *github_api_url;    /* without a slash at the end */
    char *github_server_url; /* the same */
    int64_t github_app_id;   /* 0: none */
    char *github_app_private_key_path;
    int64_t github_app_installation_id;
    struct secret *github_token;
    struct secret *github_webhook_secret;
    char *bot_name;
    char *bot_email;
    bool debug;
};

/*
 * Fills `out` from the arguments after the subcommand, the environment and the file. `argv`
 * ends with NULL. ERR_INVALID; ERR_NOT_FOUND for the file.
 */
int config_load(struct config *out, char *const *argv, struct err *err) CHECKED;
void config_done(struct config *config);
#define scoped_config __attribute__((cleanup(config_done))) struct config
#endif
