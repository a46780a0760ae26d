-- Puts another value in place of one, unless it was changed meanwhile, or is gone.
-- KEYS: the record. ARGV: the value that was seen, the new one, its life in seconds.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
