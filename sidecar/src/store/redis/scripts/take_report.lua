-- Whether a report is new: its sequence is above the last one of its replica. Then it is the last.
-- KEYS: the replica's sequence. ARGV: sequence, seconds to remember it.
local last = tonumber(redis.call('GET', KEYS[1]) or '0')
if tonumber(ARGV[1]) <= last then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
