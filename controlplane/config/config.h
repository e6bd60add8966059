/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H
#include "base/err.h"
#include "base/secret.h"
#include "config/overrides.h"
#include "net/address.h"

#include <stdbool.h>
#include <stdint.h>

/* Of launcher `kubernetes`; launch/kubernetes_template.h says how the Job comes about. NULL:
 * not set, for the cluster or the job template to say. */
struct config_kubernetes {
    char *kubeconfig; /* NULL: kubernetes/cluster.h says where it is looked for */
    char *context;
    char *namespace;
    char *image; /* of the runner */
    char *image_pull_policy;
    char *job_template; /* a file; NULL: the built-in one */
    char *service_account;
    char *env_secret; /* a Secret whose keys the runner gets as environment */
    char *queue_name; /* of Kueue */
    char *runtime_class;
    char *priority_class;
    char *cpu_request; /* quantities, as Kubernetes writes them; "0": none */
    char *cpu_limit;
    char *memory_request;
    char *memory_limit;
    char *ephemeral_storage_request;
    char *ephemeral_storage_limit;
    int qps; /* calls a second, on average */
    int burst;
    int connections;
    int64_t ttl_s;              /* an ended Job and its log are kept this long */
    int64_t stop_grace_s;       /* between TERM and KILL */
    int64_t schedule_timeout_s; /* waiting for a pod and a node */
    int64_t start_timeout_s;    /* from the node to a running container */
};

/*
 * What the operator wants: flags over environment over YAML (--config FILE) over defaults.
 * One table in config.c lists every setting with its three names. A wrong value is refused
 * with where it stood: "dispatch.yaml:12: max_workers: expected a whole number from 0 to
 * 10000", "CODEBOT_MAX_WORKERS: ...", "--port: ...". Unknown YAML keys are refused.
 * Strings are owned by the struct; it doesn't change while threads run.
 */

/* What the runner is to do about what it finds; its `policy` (api/openapi.yaml). */
struct config_policy {
    char *sandbox; /* strict, auto or off */
    bool honour_repository_agent_config;
    char *workflow_changes; /* refuse or draft, as the next */
    char *credentials_in_diff;
};

/* Ranges of addresses, as they were written and as they are compared. */
#define RANGES_MAX 64
struct config_ranges {
    char **texts; /* NULL at the end; NULL for none */
    struct address_range *all;
    size_t count;
};
void config_ranges_done(struct config_ranges *ranges);

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
    struct config_kubernetes kubernetes;
    char *default_repo; /* of agent runs that name none; NULL: they must */
    struct run_defaults defaults;
    struct overrides agents;
    struct overrides repositories;
    struct config_policy policy;
    struct config_ranges allow_private_urls;
    struct secret *encryption_key; /* base64; NULL: a file beside the database has one */
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
