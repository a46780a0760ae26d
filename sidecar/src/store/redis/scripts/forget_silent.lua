-- Removes workers that have been silent for too long. KEYS: workers. ARGV: milliseconds.
local time = redis.call('TIME')
local oldest = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[1])
local workers = redis.call('HGETALL', KEYS[1])
local removed = 0
for i = 1, #workers, 2 do
  local polled_at = tonumber(string.match(workers[i + 1], '"polled_at_ms":(%d+)') or '0')
  if polled_at < oldest then
    removed = removed + redis.call('HDEL', KEYS[1], workers[i])
  end
end
return removed
