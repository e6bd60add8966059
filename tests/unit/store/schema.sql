-- What the migrations come to. Written by test_schema with UPDATE=1.

CREATE TABLE run (
    key             INTEGER PRIMARY KEY, -- struct id
    tail            INTEGER NOT NULL,
    status          TEXT NOT NULL,       -- model/run.h has the moves
    attempt         INTEGER NOT NULL DEFAULT 0,
    launch_failures INTEGER NOT NULL DEFAULT 0,
    token_id        INTEGER,
    not_before_ms   INTEGER,             -- only while pending, after a failed launch
    deadline_ms     INTEGER,             -- of the current state; NULL once it has ended, and
                                         -- while fresh: the key says how long it has waited
    stop_requested  INTEGER,             -- only while launching or running
    task_token_hash BLOB,                -- of the current attempt
    repo            TEXT,
    agent           TEXT,
    launcher        TEXT,
    job_ref         TEXT,
    runner_id       TEXT,
    started_ms      INTEGER,
    heartbeat_ms    INTEGER,
    events          INTEGER,             -- how many are stored, their bytes, and how many
    event_bytes     INTEGER,             -- more were sent than are kept
    events_dropped  INTEGER,
    ended_ms        INTEGER,
    report_hash     BLOB,                -- of the report that ended it
    draft           INTEGER,
    partial         INTEGER,
    error_code      TEXT,
    error           TEXT,
    pr_url          TEXT,
    branch_name     TEXT,
    summary         TEXT,
    usage           TEXT
, owner INTEGER, priority INTEGER) STRICT;

CREATE INDEX run_by_status ON run (status, not_before_ms);

CREATE INDEX run_by_deadline ON run (deadline_ms) WHERE deadline_ms IS NOT NULL;

CREATE TABLE run_input (
    key             INTEGER PRIMARY KEY,
    prompt          TEXT,
    installation_id INTEGER,
    model           TEXT,
    provider        TEXT,
    mode            TEXT,
    base_branch     TEXT,
    title           TEXT,
    ticket_id       TEXT,
    ticket_summary  TEXT,
    test_command    TEXT,
    options         TEXT
, retry_of TEXT, requester TEXT, webhook_url TEXT, launcher TEXT) STRICT;

CREATE TABLE event (
    run     INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL,
    type    TEXT NOT NULL,
    data    TEXT, number INTEGER, owner INTEGER,
    PRIMARY KEY (run, attempt, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    number     INTEGER PRIMARY KEY,
    token_id   INTEGER NOT NULL,
    key        TEXT NOT NULL,
    body_hash  BLOB NOT NULL,
    run_key    INTEGER NOT NULL,
    run_tail   INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    UNIQUE (token_id, key)
) STRICT;

CREATE TABLE pruned (newest_key INTEGER NOT NULL, newest_number INTEGER NOT NULL DEFAULT 0) STRICT;

CREATE TABLE integration_token (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    hash            BLOB NOT NULL UNIQUE,
    repo            TEXT NOT NULL,
    installation_id INTEGER,
    created_by      TEXT,
    name            TEXT,
    display_prefix  TEXT NOT NULL,
    created_ms      INTEGER NOT NULL,
    last_used_ms    INTEGER,
    revoked_ms      INTEGER
, expires_ms INTEGER, rate_per_minute INTEGER, priority INTEGER, launcher TEXT) STRICT;

CREATE TABLE run_result (
    key  INTEGER PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;

CREATE TABLE run_secret (
    key    INTEGER PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT;

CREATE TABLE credential (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE personal_token (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    hash           BLOB NOT NULL UNIQUE,
    user_name      TEXT NOT NULL, -- whose it is, as their commits say
    user_email     TEXT,
    name           TEXT,
    scopes         INTEGER NOT NULL, -- bits of model/token.h
    display_prefix TEXT NOT NULL,
    created_by     TEXT,
    created_ms     INTEGER NOT NULL,
    expires_ms     INTEGER,
    last_used_ms   INTEGER,
    revoked_ms     INTEGER
) STRICT;

CREATE INDEX run_by_owner ON run (owner, status) WHERE owner IS NOT NULL;

CREATE INDEX event_by_number ON event (number, owner);

CREATE INDEX event_by_run ON event (run, number);

CREATE TABLE receiver (
    url    TEXT PRIMARY KEY,
    events INTEGER NOT NULL -- a bit for each run status
) STRICT, WITHOUT ROWID;

CREATE TABLE delivery (
    key         INTEGER PRIMARY KEY, -- struct id
    tail        INTEGER NOT NULL,
    run_key     INTEGER NOT NULL,
    run_tail    INTEGER NOT NULL,
    owner       INTEGER,             -- of the run, which may be forgotten first
    event       TEXT NOT NULL,
    url         TEXT NOT NULL,
    receiver    TEXT NOT NULL,       -- scheme, host and port of it: one line each
    configured  INTEGER,             -- to a receiver of the configuration, not of the run
    payload     TEXT NOT NULL,
    status      TEXT NOT NULL,       -- pending, delivered, failed
    attempts    INTEGER NOT NULL DEFAULT 0,
    tries       INTEGER NOT NULL DEFAULT 0, -- since it was last put in its line
    place       INTEGER,             -- in its receiver's line; NULL once it has ended
    next_ms     INTEGER,             -- of the first in line: when it is due
    give_up_ms  INTEGER NOT NULL,
    last_ms     INTEGER,
    last_status INTEGER,             -- of HTTP; NULL: there was no answer
    last_error  TEXT,
    ended_ms    INTEGER
) STRICT;

CREATE INDEX delivery_in_line ON delivery (receiver, place) WHERE place IS NOT NULL;

CREATE INDEX delivery_due ON delivery (tries > 0, next_ms) WHERE next_ms IS NOT NULL;

CREATE INDEX delivery_by_run ON delivery (run_key);

CREATE INDEX delivery_by_owner ON delivery (owner);

CREATE INDEX delivery_by_status ON delivery (status);

CREATE TABLE audit (
    number     INTEGER PRIMARY KEY, -- from 1, without gaps
    at_ms      INTEGER NOT NULL,
    actor      TEXT NOT NULL,
    action     TEXT NOT NULL,
    target     TEXT NOT NULL,
    address    TEXT,
    request_id TEXT,
    detail     TEXT,
    hash       BLOB NOT NULL
) STRICT;

CREATE INDEX audit_by_actor ON audit (actor)
    WHERE actor NOT GLOB 'token:*' AND actor NOT GLOB 'runner:*' AND actor <> 'dispatchd';

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT raise(ABORT, 'the audit log is append-only');
END;

CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN
    SELECT raise(ABORT, 'the audit log is append-only');
END;

CREATE TABLE backup (
    taken_ms    INTEGER NOT NULL, -- the moment that the backup shows
    restored_ms INTEGER,          -- NULL: this is the backup itself
    newest_key  INTEGER,          -- of the runs in it, when it was restored
    settled_ms  INTEGER           -- since then those runs are known to be as they are here
) STRICT;

CREATE INDEX run_ended_shared ON run (status) WHERE owner IS NULL AND ended_ms IS NOT NULL;

