-- Who is told of a run's end: an outbox, written in the transaction that ends the run.

-- The receivers of the configuration, as of the last start; their secrets stay in it.
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
-- Those that failed before wait apart: they never hold up a first try.
CREATE INDEX delivery_due ON delivery (tries > 0, next_ms) WHERE next_ms IS NOT NULL;
CREATE INDEX delivery_by_run ON delivery (run_key);
CREATE INDEX delivery_by_owner ON delivery (owner);
CREATE INDEX delivery_by_status ON delivery (status);
