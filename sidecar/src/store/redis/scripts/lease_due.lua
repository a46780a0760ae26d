-- Takes members whose time has come, for a while. No sidecar's clock says what the time is: one that is ahead would take
-- what is not due.
-- KEYS: the sorted set. ARGV: for how many seconds they are taken, how many at most.
local now = redis.call('TIME')[1]
local due = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[2])
for _, member in ipairs(due) do
  redis.call('ZADD', KEYS[1], now + ARGV[1], member)
end
return due
