-- What only one run's own page or runner reads, apart from what lists read.

-- The text that a run was for: a plan, an answer.
CREATE TABLE run_result (
    key  INTEGER PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;

-- Header values of the run's tools, sealed (store/vault.h); gone when the run has ended.
CREATE TABLE run_secret (
    key    INTEGER PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT;

-- The id of the run that this one is another try of.
ALTER TABLE run_input ADD COLUMN retry_of TEXT;
