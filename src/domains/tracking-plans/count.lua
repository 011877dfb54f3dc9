-- KEYS[1] the counts of one project on one day; ARGV: most fields, seconds to keep, then field, count, last time … per violation.
-- A field that is new when the hash is full is counted as 'other', so that nobody can fill the memory with names.
local room = tonumber(ARGV[1]) - redis.call('HLEN', KEYS[1]) / 2
for i = 3, #ARGV, 3 do
  local field = ARGV[i]
  if redis.call('HEXISTS', KEYS[1], 'n' .. field) == 0 then
    if room < 1 then field = 'other' end
    if redis.call('HEXISTS', KEYS[1], 'n' .. field) == 0 then room = room - 1 end
  end
  redis.call('HINCRBY', KEYS[1], 'n' .. field, ARGV[i + 1])
  if tonumber(redis.call('HGET', KEYS[1], 't' .. field) or '0') < tonumber(ARGV[i + 2]) then
    redis.call('HSET', KEYS[1], 't' .. field, ARGV[i + 2])
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return redis.status_reply('OK')
