-- Who did what, to which run, token or delivery, and from where. Nothing is ever changed or
-- deleted here, and each entry's hash covers the one before it (store/audit.h), so that whoever
-- does it all the same is noticed.

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

-- For those who may ask for their own entries: neither integration tokens nor runners can, so
-- that the dispatch path writes no index.
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
