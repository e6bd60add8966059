-- What live streams show: every event and every move of a run that the public can see, numbered
-- in the order of their commits. Numbers are never used again, also not after pruning.

-- A move is an event of type 'status' whose seq is -1 - (its place among the statuses), so that
-- it has a key of its own beside the runner's events.
ALTER TABLE event ADD COLUMN number INTEGER;
ALTER TABLE event ADD COLUMN owner INTEGER; -- the run's, so that a walk needs the index alone

-- No number up to this one is given out again.
ALTER TABLE pruned ADD COLUMN newest_number INTEGER NOT NULL DEFAULT 0;

-- Runs from before: how they began and ended.
INSERT INTO event (run, attempt, seq, at_ms, type)
    SELECT key, attempt, -3, started_ms, 'status' FROM run WHERE started_ms IS NOT NULL;
INSERT INTO event (run, attempt, seq, at_ms, type)
    SELECT key, attempt, CASE status WHEN 'completed' THEN -4 WHEN 'failed' THEN -5 ELSE -6 END,
           ended_ms, 'status' FROM run WHERE ended_ms IS NOT NULL;
UPDATE event SET number = n.number, owner = n.owner FROM (
    SELECT e.run, e.attempt, e.seq, r.owner, row_number() OVER (
               ORDER BY e.run, e.attempt,
                        CASE WHEN e.seq = -3 THEN 0 WHEN e.seq > 0 THEN 1 ELSE 2 END, e.seq
           ) AS number
    FROM event AS e JOIN run AS r ON r.key = e.run) AS n
    WHERE event.run = n.run AND event.attempt = n.attempt AND event.seq = n.seq;

CREATE INDEX event_by_number ON event (number, owner);
CREATE INDEX event_by_run ON event (run, number);
