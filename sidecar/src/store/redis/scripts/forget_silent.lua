-- Removes workers that have been silent for too long.
-- KEYS: workers. ARGV: milliseconds for those that check every request by then, and for the others.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local workers = redis.call('HGETALL', KEYS[1])
local removed = 0
for i = 1, #workers, 2 do
  local worker = workers[i + 1]
  local polled_at = tonumber(string.match(worker, '"polled_at_ms":(%d+)') or '0')
  local fences = string.find(worker, '"fences":true', 1, true)
  if polled_at < now_ms - tonumber(fences and ARGV[1] or ARGV[2]) then
    removed = removed + redis.call('HDEL', KEYS[1], workers[i])
  end
end
return removed
