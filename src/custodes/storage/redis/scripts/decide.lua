-- Decides on requests, one after the other, each on all its limits at once: all are charged, or none.
--
-- KEYS     the states of the subjects that take part, then the keys of states that may need one of their own
-- ARGV[1]  MessagePack: {rows, script, how many of the keys are subjects}
--   rows    one list for each limit and cost: {algorithm, in shadow, cost, limit, tag, then what the algorithm needs}
--   script  for each request: how many limits, then each of them; or 0, to give back: the limit, the moment of the charge,
--           units; or -1, to look: the limit. A limit is three numbers: of its row, of the subject, of its own key or 0
-- Returns  MessagePack: {now, then for each request a status and what belongs to it, see below; for each look the view}
--
-- Subjects are read once, all in one command, decided on in memory and written once, however many requests of the call
-- are about them and however many limits they have.

local meters = {log, subwindows, gcra, calendar, concurrency}

-- Keys that one command reads: Lua hands over no more than 8,000 values at once.
local READ_AT_ONCE = 4000

local asked = cmsgpack.unpack(ARGV[1])
local rows, script, subjects = asked[1], asked[2], asked[3]
local texts = subjects > 0 and redis.call('MGET', unpack(KEYS, 1, math.min(subjects, READ_AT_ONCE)))
-- By number of the subject: states by tag of the limit, and whether one of them has changed.
local held, changed = {}, {}
-- Of the limits of the request at hand: state, row, and how long each has to be waited for.
local the_states, the_rows, the_waits = {}, {}, {}
local answer, size = {now}, 1

-- All admit and were charged: what is left, and microseconds until there is more, of each.
local CHARGED = 0
-- Some refuse, or would in shadow: the same, and how long each has to be waited for.
local CONTESTED = 1
-- The clock of who asked is too far off.
local OFF = 2

for _, row in ipairs(rows) do
  local meter = meters[row[ALGORITHM]]
  row.meter, row.load, row.wait, row.charge = meter, meter.load, meter.wait, meter.charge
end

local function read(number)
  local states, text = {}, texts[number]
  held[number] = states
  if text == nil then text = redis.call('GET', KEYS[number]) end
  if text then
    local at, last = 1, #text
    while at < last do
      local tag, dead_at, length, body = struct.unpack(RECORD, text, at)
      states[tag] = {text, body, length, dead_at, false, false, false, 0, 0, 0, 0}
      at = body + length
    end
  end
  return states
end

local function state_of(row, at)
  local states = held[script[at + 1]] or read(script[at + 1])
  local state = states[row[TAG]]
  if not state then
    state = {'', 0, 0, 0, false, false, false, 0, 0, 0, 0}
    states[row[TAG]] = state
  end
  if not state[KNOWN] then
    if script[at + 2] > 0 then state[OWN] = KEYS[subjects + script[at + 2]] end
    row.load(state, row)
  end
  return state
end

local function decide(count, at)
  local refused, contested, here = false, false, at
  for number = 1, count do
    local row = rows[script[here]]
    local state = state_of(row, here)
    local wait = row.wait(state, row)
    if wait ~= 0 then
      if not wait then
        size = size + 1
        answer[size] = OFF
        return
      end
      contested = true
      refused = refused or row[IN_SHADOW] == 0
    end
    the_states[number], the_rows[number], the_waits[number] = state, row, wait
    here = here + 3
  end
  size = size + 1
  if not contested then
    answer[size] = CHARGED
    for number = 1, count do
      local state, row = the_states[number], the_rows[number]
      answer[size + 1], answer[size + 2] = row.charge(state, row)
      size = size + 2
      state[CHANGED_BY] = row
      changed[script[at + 1]] = true
      at = at + 3
    end
    return
  end
  answer[size] = CONTESTED
  for number = 1, count do
    local state, row, wait = the_states[number], the_rows[number], the_waits[number]
    if not refused and wait == 0 then
      row.charge(state, row)
      state[CHANGED_BY] = row
      changed[script[at + 1]] = true
    end
    answer[size + 1], answer[size + 2] = row.meter.view(state, row)
    answer[size + 3] = wait
    size = size + 3
    at = at + 3
  end
end

local function give_back(at)
  local row = rows[script[at]]
  local state = state_of(row, at)
  if row.meter.give_back(state, row, script[at + 3], script[at + 4]) then
    state[CHANGED_BY] = row
    changed[script[at + 1]] = true
  end
end

local function write(number)
  local written, ends = '', 0
  for _, state in pairs(held[number]) do
    local row, record, dead_at = state[CHANGED_BY], nil, nil
    if row then
      record, dead_at = row.meter.pack(state, row)
    elseif state[AT] > 0 then
      record, dead_at = string.sub(state[TEXT], state[AT] - RECORD_HEAD, state[AT] + state[SIZE] - 1), state[DEAD_AT]
    end
    if record and dead_at > now then
      written = written .. record
      if dead_at > ends then ends = dead_at end
    end
  end
  if ends > 0 then
    redis.call('SET', KEYS[number], written, 'PX', lifetime(ends - now))
  else
    redis.call('DEL', KEYS[number])
  end
end

local at, length = 1, #script
while at <= length do
  local count = script[at]
  if count == 0 then
    give_back(at + 1)
    at = at + 6
  elseif count == -1 then
    local row = rows[script[at + 1]]
    answer[size + 1], answer[size + 2] = row.meter.view(state_of(row, at + 1), row)
    size = size + 2
    at = at + 4
  else
    decide(count, at + 1)
    at = at + 1 + 3 * count
  end
end
for number in pairs(changed) do write(number) end
return cmsgpack.pack(answer)
