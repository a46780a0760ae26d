-- Puts a member in line that is to be seen to in a while, unless it is there already. Answers whether it was not.
-- KEYS: the sorted set. ARGV: the member, in how many seconds.
return redis.call('ZADD', KEYS[1], 'NX', redis.call('TIME')[1] + ARGV[2], ARGV[1])
