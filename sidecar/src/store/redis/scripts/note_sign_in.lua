-- Puts on record when somebody signed in, or from when on to count if they never did.
-- KEYS: record. ARGV: the moment (Unix seconds), for how many seconds more it is kept, `LATEST` or `FIRST`: which of two
-- moments stands, the later one or the one on record. Answers the one that stands.
-- What is no number is overwritten: nobody could ever sign in.
local moment = tonumber(ARGV[1])
local answer = redis.pcall('GET', KEYS[1])
local present = type(answer) == 'string' and tonumber(answer)
if present and (ARGV[3] == 'FIRST' or present > moment) then
  moment = present
end
local text = string.format('%.0f', moment)
redis.call('SET', KEYS[1], text, 'EX', ARGV[2])
return text
