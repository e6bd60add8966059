/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H
#include "base/err.h"
#include "base/secret.h"
#include "config/overrides.h"
#include "config/receivers.h"
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

/* Of launcher `cloudrun`. NULL: not set. */
struct config_cloudrun {
    char *project;
    char *region;
    char *job;
    char *image;           /* of the runner; NULL: whatever the Job has, and no `apply` */
    char *service_account; /* that runs are; NULL: whatever the Job has */
    char *token_via;       /* override or secret_manager */
    char *env_secrets;     /* NAME=SECRET[:VERSION], ...: the Job's environment, for `apply` */
    char *cpu;             /* the next two as well */
    char *memory;
    char *credentials_file;      /* a service account's key; NULL: the metadata server */
    struct secret *access_token; /* instead, for tests */
    char *api_url;               /* without a slash at the end, as the next two */
    char *logging_url;
    char *secretmanager_url;
    int qps; /* calls a second, on average, to each of the three */
    int burst;
    int connections;
    int poll_every_ms; /* at the most often */
};

/* Of launcher `docker`; launch/docker.c has the story. NULL: not set. */
struct config_docker {
    char *host;      /* NULL: $DOCKER_HOST, else Docker's own socket */
    char *ca_file;   /* PEM, for tcp://; NULL: as the next two */
    char *cert_file; /* NULL: as $DOCKER_TLS_VERIFY and $DOCKER_CERT_PATH say */
    char *key_file;
    char *namespace; /* tells our containers from another dispatchd's; NULL: by the database */
    char *image;
    char *pull_policy; /* always, missing or never */
    char *network;     /* NULL: the engine's own */
    char *user;        /* NULL: the image's */
    char *runtime;     /* NULL: the engine's own */
    char *memory;      /* sizes, as Docker writes them; "0": no limit */
    char *tmp_size;
    char *work_size; /* NULL: a volume on the engine's disk */
    char *ulimits;   /* "nofile=4096 nproc=1000:2000"; NULL: the engine's own */
    char *env_file;
    char *auth_file; /* for registries, as `docker login` writes it; NULL: none */
    double cpus;
    int pids;
    bool init;
    int64_t stop_grace_s; /* between TERM and KILL */
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

/* How often somebody may ask; a burst of 0 is a whole minute's. */
struct config_rate_limit {
    int per_credential_per_minute; /* 0: no limit, as the next */
    int per_credential_burst;
    int per_address_per_minute;
    int per_address_burst;
    int failures_per_minute;     /* credentials from one address that aren't good */
    struct config_ranges exempt; /* addresses whose requests aren't counted by address */
};

/* Texts, as they were written. */
#define LIST_MAX 256
struct config_list {
    char **texts;
    size_t count;
};
void config_list_done(struct config_list *list);

struct config {
    char *listen_address; /* "127.0.0.1" */
    int listen_port;      /* 5000; 0: any */
    char *database;       /* var/dispatch.db */
    char *public_url;     /* without a slash at the end; NULL: http:// + listen */
    char *launcher;       /* process */
    struct config_list launcher_fallback; /* tried in this order when a run's own refuses */
    int64_t launcher_fallback_after_s;    /* so long it may be away before that */
    struct config_list launchers;         /* others to have open, for tokens to name */
    char *runner;                         /* absolute path of dispatch-runner */
    char *work_dir;                       /* var/work */
    char *default_agent;                  /* claude-code */
    char *agent_command;                  /* NULL: agent `command` isn't offered */
    char *ca_file;                        /* NULL: the system's */
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
    int stream_heartbeat_s;  /* a live stream on which nothing happens says so this often */
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
    struct config_docker docker;
    struct config_cloudrun cloudrun;
    char *default_repo; /* of agent runs that name none; NULL: they must */
    struct run_defaults defaults;
    struct overrides agents;
    struct overrides repositories;
    int max_in_flight; /* runs of one repository; 0: no limit */
    struct config_rate_limit rate_limit;
    struct config_ranges trusted_proxies;
    struct config_policy policy;
    struct config_ranges allow_private_urls;
    struct secret
        *webhook_secret; /* signs deliveries; NULL: one made from the encryption key */
    struct config_receivers receivers;
    struct config_list oidc_issuers;      /* whose tokens are let in; none: nobody's */
    char *oidc_audience;                  /* that they must be for; default: the public URL */
    struct config_list oidc_repositories; /* whose workflows; none: all that an issuer names */
    struct secret *encryption_key;        /* base64; NULL: a file beside the database has one */
    char *confine; /* what dispatchd gives up itself: strict, auto or off */
    bool debug;
    char *file; /* where settings were read from, absolute; NULL: none */
};

/*
 * Fills `out` from the arguments after the subcommand, the environment and the file. `argv`
 * ends with NULL. ERR_INVALID; ERR_NOT_FOUND for the file.
 */
int config_load(struct config *out, char *const *argv, struct err *err) CHECKED;
void config_done(struct config *config);
#define scoped_config __attribute__((cleanup(config_done))) struct config
#endif
