-- Puts on record since when somebody's tokens are valid. Clocks differ: a later moment that is on record
-- stands. KEYS: record. ARGV: the moment, the end of the record (both Unix seconds).
local present = redis.call('GET', KEYS[1])
if present and tonumber(present) >= tonumber(ARGV[1]) then
  return present
end
redis.call('SET', KEYS[1], ARGV[1], 'EXAT', ARGV[2])
return ARGV[1]
