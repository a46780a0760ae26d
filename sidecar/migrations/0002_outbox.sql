-- Events on their way to webhooks, one row for each event and webhook, filled in the transaction that appends the event.
-- Times are Unix milliseconds; 0 stands for never. A row goes when it is delivered.
CREATE TABLE outbox (
    webhook TEXT NOT NULL,
    event_id TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    -- When it was tried first.
    first_at_ms BIGINT NOT NULL,
    -- Not to be tried before: it failed a moment ago, or somebody is trying it.
    due_at_ms BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    -- Whose attempt is the last one.
    lease TEXT NOT NULL,
    given_up_at_ms BIGINT NOT NULL,
    failure TEXT NOT NULL,
    PRIMARY KEY (webhook, event_id)
);
CREATE INDEX outbox_due ON outbox (webhook, given_up_at_ms, due_at_ms);

-- What is true of a webhook as a whole. Who tries rows of a webhook takes its row here first, so they take turns.
CREATE TABLE outbox_webhooks (
    name TEXT NOT NULL PRIMARY KEY,
    -- The attempts of the last minute.
    recent TEXT NOT NULL,
    -- The receiver asked for patience until then.
    paused_until_ms BIGINT NOT NULL,
    last_success_at_ms BIGINT NOT NULL,
    last_failure_at_ms BIGINT NOT NULL,
    last_failure TEXT NOT NULL,
    -- Events for which there was no room.
    left_out BIGINT NOT NULL,
    -- When an audit event last told that events were given up.
    told_at_ms BIGINT NOT NULL,
    -- When a sidecar last had it in its settings.
    known_at_ms BIGINT NOT NULL
);
