-- Puts a poll on record, with the time by Redis's own clock, and says where the feed stands.
-- KEYS: workers, epoch, version. ARGV: replica, JSON object, most workers, 1 if the replica is blank.
local present = redis.call('HGET', KEYS[1], ARGV[1])
if not present and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then
  return {'FULL', '', '0'}
end
local epoch = redis.call('HGET', KEYS[2], 'id') or ''
local version = redis.call('GET', KEYS[3]) or '0'
-- Where the feed stood when it joined stays on record for as long as it does.
local joined = ''
if present then
  joined = string.match(present, '^{"polled_at_ms":%d+,("joined_epoch":"%x+","joined_version":%d+,)') or ''
elseif ARGV[4] == '1' and epoch ~= '' then
  joined = '"joined_epoch":"' .. epoch .. '","joined_version":' .. version .. ','
end
local time = redis.call('TIME')
local now_ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('HSET', KEYS[1], ARGV[1], '{"polled_at_ms":' .. now_ms .. ',' .. joined .. string.sub(ARGV[2], 2))
return {'AT', epoch, version}
