-- Sets a number, unless there is a greater one. KEYS: the number. ARGV: the number.
if (tonumber(redis.call('GET', KEYS[1]) or '') or -1) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1])
end
return 1
