-- Writes to the feed, if what holds for the name is what the caller expects.
-- ARGV: kind, name, until (0: lift), floor, expected: 'any', 'none' (nothing holds), or a version.
local epoch = redis.call('HGET', KEYS[1], 'id')
if not epoch or redis.call('EXISTS', KEYS[2]) == 0 then
  return {'NOEPOCH', epoch or '', '0'}
end
-- A server that was restarted or promoted may have lost the numbers that its epoch goes on from: filters that
-- hold more than it knows would seem to have applied this write already (rule P2).
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local replication_id = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
if redis.call('HGET', KEYS[1], 'lineage') ~= run_id .. '/' .. replication_id then
  return {'NOEPOCH', epoch, '0'}
end
local kind, name, until_s, floor, expected = unpack(ARGV)
local now = redis.call('TIME')[1]
if expected ~= 'any' then
  local present = redis.call('HGET', KEYS[4], kind .. '|' .. name) or '"version":0,"until":0,'
  local version, ends = string.match(present, '"version":(%d+),"until":(%d+),')
  local holds = tonumber(ends) > tonumber(now)
  if (expected == 'none' and holds) or (expected ~= 'none' and version ~= expected) then
    return {'OVERTAKEN', epoch, '0'}
  end
end
local lifted_at = '0'
if until_s == '0' then
  if has_floor(kind) then
    -- Nothing lifts one.
    return {'OVERTAKEN', epoch, '0'}
  end
  lifted_at = now
end
return {'DONE', epoch, write(kind, name, until_s, floor, lifted_at, '0')}
