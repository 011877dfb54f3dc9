-- Admission: the events of one or several requests of one project, each request as a whole or not at all, in one atomic step: seen
-- before? within the burst? remember, append, count. Redis writes the effects of a script to the append-only file as one
-- transaction, so "remembered but not queued" cannot exist.
--
-- KEYS  1 stream   2 marks prefix of the project   3 burst counter   4 accepted counters of this month   5 quota of the organization
--       6 and 7 where the organization is marked when somebody has to look at its quota, and at what is held of it
-- ARGV  1 window ms   2 burst limit per second   3 organization   4 project   5 numbers of events of the requests, comma-separated
--       6 marks: for each event 16 bytes of identity and 8 bytes of content fingerprint   7 rows   8 hours that the events touch
--       9 seconds to keep the counters   10 'counted' for a lane whose events the quota counts, 'held' for one that keeps what the quota
--       holds back, else 'apart'
-- Returns { verdict per event: '1' new, '0' duplicate, 'c' duplicate with other content, 'x' refused with its request by the burst,
--           'q' refused by the quota, 'h' to be held, 's' left out of the sample; events left in the burst window, ms until it
--           resets, the burst limit, the quota afterwards (quotaText) }
local MARK_BYTES, IDENTITY_BYTES, SAMPLE_ONE_IN = 24, 16, 10
local windowMs = tonumber(ARGV[1])
local marks = ARGV[6]
local count = #marks / MARK_BYTES

local now, revision = nowMs()
local isCounted = ARGV[10] == 'counted'
local quota = quotaAt(KEYS[5], now, KEYS[6], ARGV[3], revision)
local period = quota.current
local burstLimit = period and period.rate or tonumber(ARGV[2])

-- The first request of a window always passes, or a batch larger than the limit could never be sent.
local used = redis.call('INCRBY', KEYS[3], count)
if used == count then redis.call('PEXPIRE', KEYS[3], 1000) end
local resetMs = redis.call('PTTL', KEYS[3])
local refused = {}
if used > burstLimit then
  local taken, first, refusedCount = used - count, 1, 0
  for number in string.gmatch(ARGV[5], '%d+') do
    local size = tonumber(number)
    if taken > 0 and taken + size > burstLimit then
      for i = first, first + size - 1 do refused[i] = true end
      refusedCount = refusedCount + size
    else
      taken = taken + size
    end
    first = first + size
  end
  if refusedCount > 0 then used = redis.call('DECRBY', KEYS[3], refusedCount) end
  if refusedCount == count then return { string.rep('x', count), 0, resetMs, burstLimit, quotaText(quota) } end
end

-- Two hashes of one window each: a mark lives between one and two windows, by the clock of Redis and of nobody else.
local bucket = math.floor(now / windowMs)
local current, previous = KEYS[2] .. bucket, KEYS[2] .. (bucket - 1)

local identities = {}
for i = 1, count do
  local at = (i - 1) * MARK_BYTES
  identities[i] = string.sub(marks, at + 1, at + IDENTITY_BYTES)
end
local inCurrent = redis.call('HMGET', current, unpack(identities))
local inPrevious = {}
if redis.call('EXISTS', previous) == 1 then inPrevious = redis.call('HMGET', previous, unpack(identities)) end

local function fingerprint(i)
  return string.sub(marks, (i - 1) * MARK_BYTES + IDENTITY_BYTES + 1, i * MARK_BYTES)
end

local verdicts, fresh, freshCount = {}, {}, 0
for i = 1, count do
  local known = inCurrent[i] or inPrevious[i]
  if refused[i] then
    verdicts[i] = 'x'
  elseif not known then
    freshCount = freshCount + 1
    fresh[freshCount * 2 - 1] = identities[i]
    fresh[freshCount * 2] = fingerprint(i)
    verdicts[i] = '1'
  elseif known == fingerprint(i) then
    verdicts[i] = '0'
  else
    verdicts[i] = 'c'
  end
end

-- How many more the quota takes, and what becomes of the others. Only news is counted, so a retry never meets the limit.
local room, mode = math.huge, 'hard'
if quota.stopped ~= '' then
  room = 0
elseif isCounted and period and period.limit and period.mode ~= 'soft' then
  room, mode = math.max(0, period.limit - quota.used), period.mode
end
local BEYOND = { hard = 'q', hold = 'h', sample = 's' }

local function isInSample(identity)
  return tonumber(string.sub(redis.sha1hex(identity), 1, 8), 16) % SAMPLE_ONE_IN == 0
end

if freshCount > room then
  -- Event by event, in their order; copies of one event fare alike.
  local fates = {}
  fresh, freshCount = {}, 0
  for i = 1, count do
    if verdicts[i] == '1' then
      local identity = identities[i]
      local before = fates[identity]
      if not before then
        if freshCount < room or (mode == 'sample' and isInSample(identity)) then
          freshCount = freshCount + 1
          fresh[freshCount * 2 - 1] = identity
          fresh[freshCount * 2] = fingerprint(i)
          fates[identity] = fingerprint(i)
        else
          fates[identity] = BEYOND[mode]
          verdicts[i] = BEYOND[mode]
        end
      elseif before == BEYOND[mode] then
        verdicts[i] = before
      elseif before == fingerprint(i) then
        verdicts[i] = '0'
      else
        verdicts[i] = 'c'
      end
    end
  end
end

if freshCount > 0 and redis.call('HSET', current, unpack(fresh)) < freshCount then
  -- Some are copies of each other, which is rare: the first of them stands, and its content is what is remembered.
  local first = {}
  for i = 1, count do
    local identity = identities[i]
    if verdicts[i] == '1' and not first[identity] then
      first[identity] = fingerprint(i)
      redis.call('HSET', current, identity, first[identity])
    elseif verdicts[i] == '1' then
      freshCount = freshCount - 1
      if first[identity] == fingerprint(i) then verdicts[i] = '0' else verdicts[i] = 'c' end
    end
  end
end

local verdict = table.concat(verdicts)
if freshCount > 0 then
  redis.call('PEXPIRE', current, windowMs * 2)
  local mask = ''
  if freshCount < count then mask = string.gsub(verdict, '[^1]', '0') end
  redis.call('XADD', KEYS[1], '*', 'o', ARGV[3], 'p', ARGV[4], 'n', freshCount, 'v', mask, 'h', ARGV[8], 'b', ARGV[7])
  redis.call('HINCRBY', KEYS[4], ARGV[3], freshCount)
  redis.call('EXPIRE', KEYS[4], ARGV[9])
  if isCounted then
    redis.call('HINCRBY', KEYS[5], 'u', freshCount)
    if not period then redis.call('HSETNX', KEYS[5], 'b', string.format('%.0f', now)) end
    local reaches = period and period.limit and quota.used < period.limit and quota.used + freshCount >= period.limit
    quota.used = quota.used + freshCount
    if reaches then mark(KEYS[6], ARGV[3], revision) end
  elseif ARGV[10] == 'held' then
    mark(KEYS[7], ARGV[3], revision)
  end
end
return { verdict, math.max(0, burstLimit - used), resetMs, burstLimit, quotaText(quota) }
