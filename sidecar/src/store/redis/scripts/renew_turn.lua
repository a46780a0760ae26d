-- Makes a turn last longer, if it still is the caller's. KEYS: the turn. ARGV: its id, its life in milliseconds.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
