-- Counts a call by the generic cell rate algorithm (ITU-T I.371), by Redis's own clock, which all sidecars share.
-- KEYS: when the calls so far will all have counted off, in µs. ARGV: calls at once, µs until there is one more.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local calls, interval = tonumber(ARGV[1]), tonumber(ARGV[2])
-- A clock that was set back must not lock anybody out: nothing counts for longer than all calls together.
local due = math.min(math.max(tonumber(redis.call('GET', KEYS[1]) or now) or now, now), now + calls * interval)
local room = calls * interval - (due - now)
if room < interval then
  return {0, due - now, interval - room}
end
due = due + interval
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000))
return {math.floor((calls * interval - (due - now)) / interval), due - now, -1}
