-- Writes to the feed. A write with an expected version is refused if the name has another one by now.
-- ARGV: kind, name, until (0: lift), issued_before, expected version (-1: any).
local epoch = redis.call('HGET', KEYS[1], 'id')
if not epoch or redis.call('EXISTS', KEYS[2]) == 0 then
  return {'NOEPOCH', epoch or '', '0'}
end
local kind, name, until_s, issued_before, expected = unpack(ARGV)
if expected ~= '-1' then
  local present = redis.call('HGET', KEYS[4], kind .. '|' .. name)
  if not present or string.match(present, '"version":(%d+)') ~= expected then
    return {'OVERTAKEN', epoch, '0'}
  end
end
local lifted_at = '0'
if until_s == '0' then
  lifted_at = redis.call('TIME')[1]
end
return {'DONE', epoch, write(kind, name, until_s, issued_before, lifted_at, '0')}
