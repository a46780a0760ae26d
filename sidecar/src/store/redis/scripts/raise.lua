-- Sets a moment, unless there is a later one that is possible by Redis's own clock. KEYS: the moment. ARGV: the moment, how far
-- ahead one is possible, in seconds.
local present = tonumber(redis.call('GET', KEYS[1]) or '') or -1
if present < tonumber(ARGV[1]) or present > tonumber(redis.call('TIME')[1]) + tonumber(ARGV[2]) then
  redis.call('SET', KEYS[1], ARGV[1])
end
return 1
