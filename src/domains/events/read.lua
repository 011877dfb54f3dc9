-- Reads the stream after an id up to a budget, which COUNT alone cannot: an entry has one byte or ten million.
-- The first entry always comes, whatever its size.
--
-- KEYS  1 stream     ARGV  1 id to read after   2 bytes   3 rows     Returns entries as XRANGE does
local STEP_MAX = 64
local bytesLeft, rowsLeft = tonumber(ARGV[2]), tonumber(ARGV[3])
local taken, last, bytes, step = {}, ARGV[1], 0, 1
while true do
  local page = redis.call('XRANGE', KEYS[1], '(' .. last, '+', 'COUNT', step)
  for _, entry in ipairs(page) do
    local fields = entry[2]
    local rows, size = tonumber(fields[6]), #fields[12]
    if #taken > 0 and (rows > rowsLeft or size > bytesLeft) then return taken end
    taken[#taken + 1] = entry
    last = entry[1]
    bytes, bytesLeft, rowsLeft = bytes + size, bytesLeft - size, rowsLeft - rows
  end
  if #page < step or rowsLeft <= 0 or bytesLeft <= 0 then return taken end
  -- As many as the average size so far lets expect to fit, so that little is read for nothing.
  step = math.max(1, math.min(STEP_MAX, math.floor(bytesLeft * #taken / math.max(bytes, 1))))
end
