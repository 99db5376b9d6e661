-- SlidingLog: 8 bytes an admitted event, oldest first. Up to WHOLE events are one string of stamps, read and written
-- whole. Longer logs are a ring after a head of three numbers (events ever, number of the first that may count, newest
-- stamp): the event numbered e stands at place e % limit, and only what is needed is read and written.

local WHOLE, HEAD = 128, 24

local log = {}

function log.load(key, row)
  local limit = row[4]
  local state = {key = key, added = 0, first = 0, limit = limit, window = row[5]}
  if limit <= WHOLE then
    state.events = redis.call('GET', key) or ''
    state.count = #state.events / 8
    state.newest = state.count > 0 and struct.unpack('<d', state.events, #state.events - 7) or 0
  else
    local head = redis.call('GETRANGE', key, 0, HEAD - 1)
    if head == '' then
      state.count, state.newest = 0, 0
    else
      state.count, state.first, state.newest = struct.unpack('<ddd', head)
    end
  end
  return state
end

-- Stamp of the event with this number; those added by this script share one.
local function stamp(state, number)
  if number >= state.count then return state.newest end
  if state.events then return (struct.unpack('<d', state.events, number * 8 + 1)) end
  local at = HEAD + number % state.limit * 8
  if state.ring then return (struct.unpack('<d', state.ring, at + 1)) end
  return (struct.unpack('<d', redis.call('GETRANGE', state.key, at, at + 7)))
end

-- Moves on to the first event in the window. A refused request may do that, too: the head is only written with a charge,
-- and in between the clock of this script stands still.
local function first_live(state)
  local last = state.count + state.added
  if state.horizon then return state.first, last end
  state.horizon = math.max(now, state.newest) - state.window
  local first = state.first
  if last > first and stamp(state, first) <= state.horizon then
    if state.newest <= state.horizon then
      first = last
    else
      local high = last
      while first < high do
        local middle = math.floor((first + high) / 2)
        if stamp(state, middle) <= state.horizon then first = middle + 1 else high = middle end
      end
    end
    state.first = first
  end
  return first, last
end

function log.wait(state, row)
  local first, last = first_live(state)
  local in_the_way = last - first + row[3] - row[4]
  if in_the_way <= 0 then return 0 end
  if row[3] > row[4] then return NEVER end
  return stamp(state, first + in_the_way - 1) + row[5] - now
end

function log.charge(state, row)
  if state.added == 0 then state.newest = math.max(now, state.newest) end
  state.added = state.added + row[3]
end

function log.view(state, row)
  local first, last = first_live(state)
  if first == last then return row[4], 0 end
  return row[4] - last + first, stamp(state, first) + row[5] - now
end

function log.store(state)
  local fresh = string.rep(struct.pack('<d', state.newest), state.added)
  local keep = lifetime(state.newest + state.window - now)
  if state.events then
    redis.call('SET', state.key, string.sub(state.events, state.first * 8 + 1) .. fresh, 'PX', keep)
    return
  end
  local place = state.count % state.limit
  local before_the_end = math.min(state.added, state.limit - place) * 8
  redis.call('SETRANGE', state.key, 0, struct.pack('<ddd', state.count + state.added, state.first, state.newest))
  redis.call('SETRANGE', state.key, HEAD + place * 8, string.sub(fresh, 1, before_the_end))
  if #fresh > before_the_end then
    redis.call('SETRANGE', state.key, HEAD, string.sub(fresh, before_the_end + 1))
  end
  redis.call('PEXPIRE', state.key, keep)
end

-- Rare (another slot of the request refused, a lease is returned): the events of that moment are taken out one by one.
function log.give_back(state, row, at, units)
  if not state.events and state.count > 0 then state.ring = redis.call('GET', state.key) end
  local first, last = first_live(state)
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
    local head = state.events and '' or struct.pack('<ddd', #kept, 0, newest)
    redis.call('SET', state.key, head .. events, 'PX', lifetime(newest + state.window - now))
  end
  local horizon = state.horizon
  for name, value in pairs(log.load(state.key, row)) do state[name] = value end
  state.horizon, state.first, state.ring = horizon, 0, nil
  return false
end
