-- Puts a keyset on record, if it still is the caller's turn to change it.
-- KEYS: record, turn. ARGV: record, the turn's id.
if redis.call('GET', KEYS[2]) ~= ARGV[2] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
