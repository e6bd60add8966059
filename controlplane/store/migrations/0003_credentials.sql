-- Whose runs are whose, and the tokens of people.

-- Who may look at a run and stop it: "key:<16 hex digits of its SHA-256>", "personal:<id>",
-- "oidc:OWNER/NAME". Named once, so that a run holds a number.
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

ALTER TABLE integration_token ADD COLUMN expires_ms INTEGER;
ALTER TABLE integration_token ADD COLUMN rate_per_minute INTEGER; -- NULL: as configured
ALTER TABLE integration_token ADD COLUMN priority INTEGER;        -- of its runs; NULL: the usual

ALTER TABLE run ADD COLUMN owner INTEGER;    -- a credential; NULL: an integration token made it
ALTER TABLE run ADD COLUMN priority INTEGER; -- 0 to 1000; NULL: the usual
-- Lists of what one credential owns; those of no owner are not in it, so that the dispatch path
-- writes no further index.
CREATE INDEX run_by_owner ON run (owner, status) WHERE owner IS NOT NULL;

ALTER TABLE run_input ADD COLUMN requester TEXT;   -- "NAME <EMAIL>", for Co-authored-by
ALTER TABLE run_input ADD COLUMN webhook_url TEXT; -- who is told of the end
