-- Puts a poll on record, with the time by Redis's own clock, and says where the feed stands.
-- KEYS: workers, epoch, version. ARGV: replica, JSON object, most workers.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then
  return {'FULL', '', '0'}
end
local time = redis.call('TIME')
local now_ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('HSET', KEYS[1], ARGV[1], '{"polled_at_ms":' .. now_ms .. ',' .. string.sub(ARGV[2], 2))
return {'AT', redis.call('HGET', KEYS[2], 'id') or '', redis.call('GET', KEYS[3]) or '0'}
