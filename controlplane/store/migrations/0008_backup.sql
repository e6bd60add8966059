-- Where this database comes from, when it was restored (store/backup.h): one row for each time.

CREATE TABLE backup (
    taken_ms    INTEGER NOT NULL, -- the moment that the backup shows
    restored_ms INTEGER,          -- NULL: this is the backup itself
    newest_key  INTEGER,          -- of the runs in it, when it was restored
    settled_ms  INTEGER           -- since then those runs are known to be as they are here
) STRICT;
