-- SlidingLog: 8 bytes an admitted event, oldest first; row[6] is the window. Longer ones than LONGEST have a key of their
-- own, a ring after a head of three numbers (events ever, number of the first that may count, newest stamp): the event
-- numbered e stands at place e % limit, and only what is needed is read and written.

local HEAD = 24
local MOST = 128 -- of LONGEST
local LAST_OF_BEGIN = '1023'

-- Of a state: how many events are in the window, newest and oldest stamp, events added by this script, which share the
-- newest stamp, and where the first one in the window stands in the text. KNOWN is LIVE.
local LIVE, NEWEST, OLDEST, ADDED, FROM = 7, 8, 9, 10, 11

local log = {}

-- Stamp of one of the events in the window, from 1.
local function stamp(state, number)
  if number > state[LIVE] then return state[NEWEST] end
  local ring = state.ring
  if not ring then return (unpack_text('<d', state[TEXT], state[FROM] + (number - 1) * 8)) end
  local at = HEAD + (ring.first + number - 1) % ring.size * 8
  if at + 8 <= #ring.begin then return (unpack_text('<d', ring.begin, at + 1)) end
  return (unpack_text('<d', call('GETRANGE', state[OWN], at, at + 7)))
end

-- Finds how many events have left the window. A refused request may do that, too: it is only written with a charge.
local function drop_expired(state, horizon)
  local oldest = stamp(state, 1)
  if oldest > horizon then
    state[OLDEST] = oldest
    return 0
  end
  local live = state[LIVE]
  if state[NEWEST] <= horizon then
    state[LIVE] = 0
    return live
  end
  local low, high = 2, live
  while low < high do
    local middle = floor((low + high) / 2)
    if stamp(state, middle) <= horizon then low = middle + 1 else high = middle end
  end
  state[OLDEST] = stamp(state, low)
  state[LIVE] = live - low + 1
  return low - 1
end

local function horizon_of(newest, row)
  return (now > newest and now or newest) - row[6]
end

local function load_ring(state, row)
  local begin = call('GETRANGE', state[OWN], '0', LAST_OF_BEGIN)
  if #begin < HEAD then return end -- the server was short of memory
  local ever, first, newest = unpack_text('<ddd', begin)
  local ring = {begin = begin, size = row[LIMIT], ever = ever, first = first}
  state.ring, state[LIVE], state[NEWEST] = ring, ever - first, newest
  if ever > first then ring.first = first + drop_expired(state, horizon_of(newest, row)) end
end

function log.latest(row)
  return now + (2 + SPARE) * row[6]
end

function log.load(state, row)
  local at, size = state[AT], state[SIZE]
  if size == 0 then
    if at > 0 and not state[OWN] then return end
    state[LIVE], state[NEWEST] = 0, 0
    if at > 0 then load_ring(state, row) end
    return
  end
  local text = state[TEXT]
  local newest = unpack_text('<d', text, at + size - 8)
  local oldest = size == 8 and newest or unpack_text('<d', text, at)
  state[LIVE], state[NEWEST], state[FROM] = size / 8, newest, at
  local horizon = (now > newest and now or newest) - row[6]
  if oldest > horizon then -- nearly always
    state[OLDEST] = oldest
  else
    state[FROM] = at + drop_expired(state, horizon) * 8
  end
end

function log.wait(state, row)
  if not state[LIVE] then return nil end
  local used = state[LIVE] + state[ADDED] + row[COST]
  local in_the_way = used - row[LIMIT]
  if in_the_way <= 0 then
    if used > MOST and not state[OWN] then return nil end
    return 0
  end
  if row[COST] > row[LIMIT] then return NEVER end
  return stamp(state, in_the_way) + row[6] - now
end

function log.renew(text, at, row)
  local tag, window = row[TAG], row[6]
  if not text then
    local dead_at = prolonged(now + window, window)
    return 1, pack('<ddI2d', tag, dead_at, 8, now), dead_at, row[LIMIT] - 1, window
  end
  if #text < at + 25 then return nil end -- a ring's
  local known, dead_at, size, oldest, second = unpack_text('<ddI2d', text, at)
  if known ~= tag or size == 0 or dead_at > row.latest then return nil end
  local ends = second + size - 8
  local newest = size > 8 and unpack_text('<d', text, ends - 8) or oldest
  if now > newest then newest = now end
  local used = size / 8 + 1
  if oldest + window <= newest or used > row[LIMIT] or used > MOST then return nil end
  if newest + window > dead_at then dead_at = prolonged(newest + window, window) end
  return ends, pack('<ddI2c0d', tag, dead_at, size + 8, sub(text, second - 8, ends - 1), newest), dead_at,
    row[LIMIT] - used, oldest + window - now
end

function log.view(state, row)
  local used = state[LIVE] + state[ADDED]
  if used == 0 then return row[LIMIT], 0 end
  return row[LIMIT] - used, state[OLDEST] + row[6] - now
end

function log.charge(state, row)
  local added, live = state[ADDED], state[LIVE]
  if added == 0 then
    if now > state[NEWEST] then state[NEWEST] = now end
    if live == 0 then state[OLDEST] = state[NEWEST] end
  end
  added = added + row[COST]
  state[ADDED] = added
  return row[LIMIT] - live - added, state[OLDEST] + row[6] - now
end

local function head(ever, first, newest)
  return pack('<ddd', ever, first, newest)
end

local function write_ring(state, ring, fresh, keep)
  local place = ring.ever % ring.size
  local before_the_end = math.min(state[ADDED], ring.size - place) * 8
  call('SETRANGE', state[OWN], '0', head(ring.ever + state[ADDED], ring.first, state[NEWEST]))
  call('SETRANGE', state[OWN], HEAD + place * 8, sub(fresh, 1, before_the_end))
  if #fresh > before_the_end then
    call('SETRANGE', state[OWN], HEAD, sub(fresh, before_the_end + 1))
  end
  call('PEXPIRE', state[OWN], keep)
end

function log.pack(state, row)
  local live, added, newest = state[LIVE], state[ADDED], state[NEWEST]
  local size, dead_at = (live + added) * 8, state[DEAD_AT]
  if size == 0 then return nil end
  if newest + row[6] > dead_at then dead_at = prolonged(newest + row[6], row[6]) end
  local ring, from = state.ring, state[FROM]
  local before = not ring and live > 0 and sub(state[TEXT], from, from + live * 8 - 1) or ''
  if added == 1 and not ring and size <= LONGEST then
    return pack('<ddI2c0d', row[TAG], dead_at, size, before, newest), dead_at
  end
  local fresh = rep(pack('<d', newest), added)
  if not ring and size <= LONGEST then
    return pack(RECORD, row[TAG], dead_at, size) .. before .. fresh, dead_at
  end
  local keep = lifetime(dead_at - now)
  if ring then
    write_ring(state, ring, fresh, keep)
  else
    call('SET', state[OWN], head(live + added, 0, newest) .. before .. fresh, 'PX', keep)
  end
  return pack(RECORD, row[TAG], dead_at, 0), dead_at
end

-- Rare (another slot of the request refused, a lease is returned): the events of that moment are taken out one by one.
function log.give_back(state, row, at, units)
  local kept, left = {}, units
  if state.ring then state.ring.begin = call('GET', state[OWN]) end
  for number = state[LIVE] + state[ADDED], 1, -1 do
    local one = stamp(state, number)
    if one == at and left > 0 then left = left - 1 else kept[#kept + 1] = one end
  end
  if left == units then return false end
  local packed = {}
  for number = #kept, 1, -1 do packed[#packed + 1] = pack('<d', kept[number]) end
  state.ring = nil
  state[TEXT], state[FROM], state[LIVE], state[ADDED] = table.concat(packed), 1, #kept, 0
  state[NEWEST], state[OLDEST] = kept[1] or 0, kept[#kept] or 0
  return true
end

return log
