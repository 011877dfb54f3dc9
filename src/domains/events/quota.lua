-- What both admission and the keeping of quotas know of an organization's quota; put before either script.
-- One hash per organization: c the current period, n the next one, u events counted in the current one, x why it is stopped, b since when
-- events are counted without a known period, k the last ticket that was given out, a the one that was applied.
-- A period is `id|start ms|end ms|limit or nothing|mode|events per second or nothing`.
local function nowMs()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000), time[1] * 1000000 + time[2]
end

-- Remembers that somebody has to look at the organization. The revision is the time in microseconds, which needs all its digits.
local function mark(marks, organization, revision)
  redis.call('HSET', marks, organization, string.format('%.0f', revision))
end

local function periodOf(text)
  if not text or text == '' then return nil end
  local id, starts, ends, limit, mode, rate = string.match(text, '^([^|]*)|(%d+)|(%d+)|(%d*)|(%a+)|(%d*)$')
  return { text = text, id = id, starts = tonumber(starts), ends = tonumber(ends), limit = tonumber(limit), mode = mode, rate = tonumber(rate) }
end

-- The quota as it is now. A period whose end has come gives way to the next one. Where none is known the counting goes on without a
-- limit, so that what comes next knows how much it begins with.
local function quotaAt(key, now, marks, organization, revision)
  local fields = redis.call('HMGET', key, 'c', 'u', 'n', 'x')
  local quota = { current = periodOf(fields[1]), used = tonumber(fields[2]) or 0, stopped = fields[4] or '' }
  if not quota.current or now < quota.current.ends then return quota end
  local ended, following = quota.current, periodOf(fields[3])
  quota.used = 0
  if following and following.starts <= now and now < following.ends then
    quota.current = following
    redis.call('HSET', key, 'c', following.text, 'u', 0)
    redis.call('HDEL', key, 'n')
  else
    quota.current = nil
    redis.call('HSET', key, 'u', 0, 'b', string.format('%.0f', ended.ends))
    redis.call('HDEL', key, 'c', 'n')
  end
  mark(marks, organization, revision)
  return quota
end

-- `used|stopped|period`, or nothing where no period is known and nothing is stopped.
local function quotaText(quota)
  if not quota.current and quota.stopped == '' then return '' end
  return string.format('%.0f', quota.used) .. '|' .. quota.stopped .. '|' .. (quota.current and quota.current.text or '')
end
