-- Puts on record since when somebody's tokens are valid. Clocks differ: a later moment that is on record
-- stands. KEYS: record. ARGV: the moment, the end of the record (both Unix seconds).
-- What is no number is overwritten: it would bar nobody and block every check of its subject.
local present = redis.call('GET', KEYS[1])
local moment = tonumber(present or '')
if moment and moment >= tonumber(ARGV[1]) then
  return present
end
redis.call('SET', KEYS[1], ARGV[1], 'EXAT', ARGV[2])
return ARGV[1]
