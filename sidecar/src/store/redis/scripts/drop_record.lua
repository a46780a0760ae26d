-- Removes a record, if it is still the one that the caller wrote. KEYS: record. ARGV: its value.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
