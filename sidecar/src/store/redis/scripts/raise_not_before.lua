-- Puts on record since when somebody's tokens are valid. Clocks differ, so a later moment may be on record: it
-- stands, or moves on by a second, since tokens may have been issued that are from that very moment. KEYS: record. ARGV: the moment, the end of the record (both Unix seconds), by how
-- much a later moment moves on: 1 for a logout, 0 for one that is written back.
-- What is no number is overwritten: it would bar nobody and block every check of its subject.
local present = redis.call('GET', KEYS[1])
local moment = tonumber(present or '')
local raised = ARGV[1]
if moment and moment >= tonumber(ARGV[1]) then
  raised = string.format('%.0f', moment + tonumber(ARGV[3]))
end
redis.call('SET', KEYS[1], raised, 'EXAT', ARGV[2])
return raised
