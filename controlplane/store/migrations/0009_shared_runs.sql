-- Lists of what integration tokens made and has ended, which every API key sees: they don't pass
-- over what others own. A run comes in at its end, so that the dispatch path writes no index.
CREATE INDEX run_ended_shared ON run (status) WHERE owner IS NULL AND ended_ms IS NOT NULL;
