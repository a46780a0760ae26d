-- Which turn an event takes among those that wait for its webhook: 0 first. What strangers can cause must not delay a ban.
ALTER TABLE outbox ADD COLUMN turn BIGINT NOT NULL DEFAULT 1;
