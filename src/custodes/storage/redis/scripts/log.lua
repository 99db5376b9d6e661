-- SlidingLog: 8 bytes an admitted event, oldest first. Up to WHOLE events are one string of stamps, read and written
-- whole. Longer logs are a ring after a head of three numbers (events ever, number of the first that may count, newest
-- stamp): the event numbered e stands at place e % limit, and only what is needed is read and written. Whose limit is
-- longer begins with a string, too; the first number tells them apart: no log sees more than EVER events, no clock less.

local WHOLE, HEAD, EVER = 128, 24, 1e15
local LAST_WHOLE = tostring(WHOLE * 8 - 1)

local log = {}

function log.load(key, row)
  local begin
  if row[4] <= WHOLE then
    begin = redis.call('GET', key) or ''
  else
    begin = redis.call('GETRANGE', key, '0', LAST_WHOLE)
  end
  if begin == '' then return {key = key, begin = begin, count = 0, first = 0, newest = 0, added = 0} end
  local count, first, newest = #begin / 8, 0
  if count >= 3 and row[4] > WHOLE then
    local ever, live, latest = struct.unpack('<ddd', begin)
    if ever < EVER then
      return {key = key, begin = begin, ring = row[4], count = ever, first = live, newest = latest, added = 0}
    end
  end
  newest = struct.unpack('<d', begin, #begin - 7)
  return {key = key, begin = begin, count = count, first = first, newest = newest, added = 0}
end

-- Stamp of the event with this number; those added by this script share one.
local function stamp(state, number)
  if number >= state.count then return state.newest end
  if not state.ring then return (struct.unpack('<d', state.begin, number * 8 + 1)) end
  local at = HEAD + number % state.ring * 8
  if at + 8 <= #state.begin then return (struct.unpack('<d', state.begin, at + 1)) end
  return (struct.unpack('<d', redis.call('GETRANGE', state.key, at, at + 7)))
end

-- Moves on to the first event in the window. A refused request may do that, too: the head is only written with a charge,
-- and in between the clock of this script stands still.
local function first_live(state, row)
  local last = state.count + state.added
  if state.horizon then return state.first, last end
  local newest = state.newest
  local horizon = (now > newest and now or newest) - row[5]
  local first = state.first
  if last > first then
    local oldest = stamp(state, first)
    if oldest <= horizon then
      if newest <= horizon then
        first = last
      else
        local high = last
        while first < high do
          local middle = math.floor((first + high) / 2)
          if stamp(state, middle) <= horizon then first = middle + 1 else high = middle end
        end
        state.oldest = stamp(state, first)
      end
      state.first = first
    else
      state.oldest = oldest
    end
  end
  state.horizon = horizon
  return first, last
end

function log.wait(state, row)
  local first, last = first_live(state, row)
  local in_the_way = last - first + row[3] - row[4]
  if in_the_way <= 0 then return 0 end
  if row[3] > row[4] then return NEVER end
  return stamp(state, first + in_the_way - 1) + row[5] - now
end

function log.charge(state, row)
  if state.added == 0 then
    if now > state.newest then state.newest = now end
    if state.first == state.count then state.oldest = state.newest end
  end
  state.added = state.added + row[3]
end

function log.view(state, row)
  local first, last = first_live(state, row)
  if first == last then return row[4], 0 end
  return row[4] - last + first, state.oldest + row[5] - now
end

local function head(count, first, newest)
  return struct.pack('<ddd', count, first, newest)
end

function log.store(state, row)
  local added, first = state.added, state.first
  local fresh = struct.pack('<d', state.newest)
  if added ~= 1 then fresh = string.rep(fresh, added) end
  local keep = lifetime(state.newest + row[5] - now)
  if not state.ring then
    local events = first == 0 and state.begin .. fresh or string.sub(state.begin, first * 8 + 1) .. fresh
    if #events > WHOLE * 8 then events = head(#events / 8, 0, state.newest) .. events end
    redis.call('SET', state.key, events, 'PX', keep)
    return
  end
  local place = state.count % state.ring
  local before_the_end = math.min(added, state.ring - place) * 8
  redis.call('SETRANGE', state.key, '0', head(state.count + added, first, state.newest))
  redis.call('SETRANGE', state.key, HEAD + place * 8, string.sub(fresh, 1, before_the_end))
  if #fresh > before_the_end then
    redis.call('SETRANGE', state.key, HEAD, string.sub(fresh, before_the_end + 1))
  end
  redis.call('PEXPIRE', state.key, keep)
end

-- Rare (another slot of the request refused, a lease is returned): the events of that moment are taken out one by one.
function log.give_back(state, row, at, units)
  if state.ring then state.begin = redis.call('GET', state.key) or '' end
  local first, last = first_live(state, row)
  local kept, left = {}, units
  for number = last - 1, first, -1 do
    local one = stamp(state, number)
    if one == at and left > 0 then left = left - 1 else kept[#kept + 1] = one end
  end
  if left == units then return false end
  local packed = {}
  for number = #kept, 1, -1 do packed[#packed + 1] = struct.pack('<d', kept[number]) end
  local events = table.concat(packed)
  local newest = kept[1] or 0
  if #kept == 0 then
    redis.call('DEL', state.key)
  else
    if #kept > WHOLE then events = head(#kept, 0, newest) .. events end
    redis.call('SET', state.key, events, 'PX', lifetime(newest + row[5] - now))
  end
  state.ring = nil
  for name, value in pairs(log.load(state.key, row)) do state[name] = value end
  state.first, state.oldest = 0, kept[#kept]
  return false
end
