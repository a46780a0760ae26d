-- The same statements for SQLite and PostgreSQL: texts for ids, integers for times.

-- What is true of this database as a whole: its id, and a value that only the right encryption key opens.
CREATE TABLE installation (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- Events, in the order of their arrival. `body` is the event as JSON, which `hash` covers; the other columns are
-- copies of its members, for looking them up.
CREATE TABLE audit_events (
    seq BIGINT NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    at_ms BIGINT NOT NULL,
    action TEXT NOT NULL,
    severity TEXT NOT NULL,
    actor TEXT NOT NULL,
    target TEXT NOT NULL,
    outcome TEXT NOT NULL,
    body TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX audit_events_at ON audit_events (at_ms, seq);
CREATE INDEX audit_events_action ON audit_events (action, at_ms, seq);
CREATE INDEX audit_events_actor ON audit_events (actor, at_ms, seq);
CREATE INDEX audit_events_target ON audit_events (target, at_ms, seq);

-- The ends of the chain of hashes. `head` is the last event; `start` the one before the first that is still kept.
-- Who appends takes the row `head` first, so appends take turns.
CREATE TABLE audit_chain (
    name TEXT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL
);
INSERT INTO audit_chain (name, seq, hash) VALUES
    ('head', 0, '0000000000000000000000000000000000000000000000000000000000000000'),
    ('start', 0, '0000000000000000000000000000000000000000000000000000000000000000');
