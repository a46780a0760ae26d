-- Puts on record since when somebody's tokens are valid. Clocks differ, so a later moment may be on record: it
-- stands, or moves on by a second, since tokens may have been issued that are from that very moment.
-- KEYS: record. ARGV: the moment, the end of a record of it (both Unix seconds), by how much a later moment
-- moves on: 1 for a logout, 0 for one that is written back.
-- What is no number is overwritten: it would bar nobody and block every check of its subject.
local wanted, ends = tonumber(ARGV[1]), tonumber(ARGV[2])
local present = tonumber(redis.call('GET', KEYS[1]) or '')
local raised = wanted
if present and present >= wanted then
  raised = present + tonumber(ARGV[3])
end
local text = string.format('%.0f', raised)
-- A later moment concerns tokens that may live for longer.
redis.call('SET', KEYS[1], text, 'EXAT', string.format('%.0f', ends + raised - wanted))
return text
