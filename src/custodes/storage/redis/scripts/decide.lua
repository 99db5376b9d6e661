-- Decides on requests, one after the other, each on all its limits at once: all are charged, or none.
--
-- KEYS     the states of the subjects that take part, then the keys of states that may need one of their own
-- ARGV[1]  MessagePack: {rows, near, kinds, script, how many of the keys are subjects}
--   rows    one list for each limit and cost: {algorithm, in shadow, cost, limit, tag, then what the algorithm needs}
--   near    for each row: of how much is left, or less, it is told besides; -1 for never
--   kinds   lists of rows that are asked together of one subject, without keys of their own: a request that turns out to
--           need one is told to come again with it
--   script  for each request: how many limits, then each of them; or the number of a kind, below zero, and the subject;
--           or 0, to give back: the limit, the moment of the charge, units; or LOOK, to look: the limit. A limit is three
--           numbers: of its row, of the subject, of its own key or 0
-- Returns  MessagePack: {now, views, others, near}
--   views   units left and microseconds until there are more, of each limit of those requests that all of their limits
--           admit, which were charged, and of each look
--   others  for each other request: its place in the script, counted from 1, a status and what belongs to it, see below
--   near    place of the request, number of the limit and what is left, of each limit that was charged and is near
--
-- Subjects are read once, all in one command, decided on in memory and written once, however many requests of the call
-- are about them and however many limits they have.

-- By number of the algorithm; made when one is asked for, since making is what a small call pays most for.
local meters = {}

-- In place of a number of limits; kinds begin below.
local LOOK = -1

-- In place of the moment until which a text is kept; see meters.
local AS_LONG = 0

-- Keys that one command reads: Lua hands over no more than 8,000 values at once.
local READ_AT_ONCE = 4000

local asked = cmsgpack.unpack(ARGV[1])
local rows, near_at, kinds, script, subjects = asked[1], asked[2], asked[3], asked[4], asked[5]
local texts = subjects > 0 and call('MGET', unpack(KEYS, 1, math.min(subjects, READ_AT_ONCE)))
-- Nobody is asked about: whether it could be decided is the question, and that takes a write. This one leaves nothing.
if subjects == 0 then call('SETRANGE', KEYS[1], '0', '') end
-- By number of the subject: its states, as they stand in its text, and whether one of them has changed.
local held, changed = {}, {}
-- The moment until which a text that was made anew is kept, or AS_LONG.
local renewed = {}
-- Of the limits of the request at hand: state, row, subject, and how long each has to be waited for.
local the_states, the_rows, the_subjects, the_waits = {}, {}, {}, {}
local views, told = {}, 0
local others, near = {}, {}
-- Of the subject at hand, in the order of its limits: the records that take the place of those in its text.
local records, concat = {}, table.concat

-- Some refuse, or would in shadow: what is left, microseconds until there is more, and how long it has to be waited for.
local CONTESTED = 1
-- It cannot be told: the clock of who asked is too far off, or a state has a key of its own, which was not named.
local AGAIN = 2

for number = 1, #rows do
  local row = rows[number]
  local algorithm = row[ALGORITHM]
  local meter = meters[algorithm]
  if not meter then
    meter = makers[algorithm]()
    meters[algorithm] = meter
  end
  row.meter, row.load, row.wait, row.charge, row.near = meter, meter.load, meter.wait, meter.charge, near_at[number]
  row.renew, row.latest = meter.renew, meter.latest(row)
end
for number = 1, #kinds do
  local kind = kinds[number]
  for place = 1, #kind do kind[place] = rows[kind[place]] end
end

local function read(number)
  local states, text = {}, texts[number]
  held[number] = states
  if text == nil then text = call('GET', KEYS[number]) end
  if text then
    local at, last, place = 1, #text, 0
    while at < last do
      local tag, dead_at, length, body = unpack_text(RECORD, text, at)
      place = place + 1
      states[place] = {text, body, length, dead_at, false, false, false, 0, 0, 0, 0, tag}
      at = body + length
    end
  end
  return states
end

-- The state of a limit; the place is where it is likely to be.
local function state_of(states, place, row, own)
  local state, tag = states[place], row[TAG]
  if not state or state[TAGGED] ~= tag then
    state = nil
    for other = 1, #states do
      if states[other][TAGGED] == tag then state = states[other] end
    end
    if not state then
      state = {'', 0, 0, 0, false, false, false, 0, 0, 0, 0, tag}
      states[#states + 1] = state
    end
  end
  if not state[OWN] then state[OWN] = own end
  if not state[KNOWN] then
    if state[DEAD_AT] > row.latest then state[TEXT], state[AT], state[SIZE], state[DEAD_AT] = '', 0, 0, 0 end
    row.load(state, row)
  end
  return state
end

-- The same of a limit of the script, which begins here.
local function state_at(at, place, row)
  local number, own = script[at + 1], script[at + 2]
  return state_of(held[number] or read(number), place, row, own > 0 and KEYS[subjects + own])
end

local function contest(place, count, those, refused)
  local size = #others
  others[size + 1], others[size + 2] = place, CONTESTED
  size = size + 2
  local charged = false
  for number = 1, count do
    local state, row, wait = the_states[number], those[number], the_waits[number]
    if not refused and wait == 0 then
      row.charge(state, row)
      state[CHANGED_BY] = row
      charged = true
    end
    others[size + 1], others[size + 2] = row.meter.view(state, row)
    others[size + 3] = wait
    size = size + 3
  end
  return charged
end

-- Decides on the request at a place of the script, whose states are at hand; returns whether one of them has changed.
local function decide(place, count, those)
  local refused, contested = false, false
  for number = 1, count do
    local row = those[number]
    local wait = row.wait(the_states[number], row)
    if wait ~= 0 then
      if not wait then
        others[#others + 1] = place
        others[#others + 1] = AGAIN
        return false
      end
      contested = true
      refused = refused or row[IN_SHADOW] == 0
    end
    the_waits[number] = wait
  end
  if contested then return contest(place, count, those, refused) end
  for number = 1, count do
    local state, row = the_states[number], those[number]
    local left, more_in = row.charge(state, row)
    state[CHANGED_BY] = row
    views[told + 1], views[told + 2] = left, more_in
    told = told + 2
    if left <= row.near then
      local size = #near
      near[size + 1], near[size + 2], near[size + 3] = place, number, left
    end
  end
  return true
end

-- Decides on the first request about a subject when its text can be made anew in one go, each record by the next one in
-- the order of the kind, as it nearly always can. Else it is false, and nothing has been charged.
local function renew(place, kind, number)
  local text = texts[number]
  if text == nil then
    text = call('GET', KEYS[number])
    texts[number] = text
  end
  local at, last, ends, count, nearly = 1, told, 0, #kind, false
  grown = false
  for limit = 1, count do
    local row = kind[limit]
    local renew, record, dead_at, left = row.renew, nil, nil, nil
    if not renew then
      at = nil
      break
    end
    at, record, dead_at, left, views[last + 2] = renew(text, at, row)
    if not at then break end
    views[last + 1], records[limit] = left, record
    last = last + 2
    if dead_at > ends then ends = dead_at end
    if left <= row.near then nearly = true end
  end
  if not at or text and at <= #text then
    for view = last + 2, told + 1, -1 do views[view] = nil end
    return false
  end
  if nearly then
    for limit = 1, count do
      local left = views[told + 2 * limit - 1]
      if left <= kind[limit].near then
        local size = #near
        near[size + 1], near[size + 2], near[size + 3] = place, limit, left
      end
    end
  end
  local written = records[1]
  if count == 2 then
    written = written .. records[2]
  elseif count == 3 then -- a call of concat takes twice as long
    written = written .. records[2] .. records[3]
  elseif count > 3 then
    written = concat(records, '', 1, count)
  end
  told, texts[number], renewed[number] = last, written, grown and ends or AS_LONG
  return true
end

local function decide_kind(place, kind, number)
  if not held[number] and not renewed[number] and renew(place, kind, number) then return end
  local states, count = held[number] or read(number), #kind
  for limit = 1, count do the_states[limit] = state_of(states, limit, kind[limit], false) end
  if decide(place, count, kind) then changed[number] = true end
end

local function decide_limits(place, count, at)
  for number = 1, count do
    local row = rows[script[at]]
    the_rows[number], the_subjects[number] = row, script[at + 1]
    the_states[number] = state_at(at, number, row)
    at = at + 3
  end
  if not decide(place, count, the_rows) then return end
  for number = 1, count do
    if the_states[number][CHANGED_BY] then changed[the_subjects[number]] = true end
  end
end

local function give_back(at)
  local row = rows[script[at]]
  local state = state_at(at, 1, row)
  if row.meter.give_back(state, row, script[at + 3], script[at + 4]) then
    state[CHANGED_BY] = row
    changed[script[at + 1]] = true
  end
end

-- Writes a text that has to be kept until a moment; AS_LONG for as long as the one that it takes the place of.
local function keep(number, text, ends)
  if ends == AS_LONG then
    call('SET', KEYS[number], text, 'KEEPTTL')
  else
    call('SET', KEYS[number], text, 'PX', lifetime(ends - now))
  end
end

local function write(number)
  local states, written, ends, longer = held[number], nil, 0, renewed[number] ~= AS_LONG and renewed[number]
  for place = 1, #states do
    local state = states[place]
    local row, record, dead_at = state[CHANGED_BY], nil, nil
    if row then
      record, dead_at = row.meter.pack(state, row)
      longer = longer or record and dead_at > state[DEAD_AT]
    elseif state[AT] > 0 then
      record, dead_at = sub(state[TEXT], state[AT] - RECORD_HEAD, state[AT] + state[SIZE] - 1), state[DEAD_AT]
    end
    if record and dead_at > now then
      written = written and written .. record or record
      if dead_at > ends then ends = dead_at end
    end
  end
  if written then
    keep(number, written, longer and ends or AS_LONG)
  else
    call('DEL', KEYS[number])
  end
end

local at, length, place = 1, #script, 1
while at <= length do
  local count = script[at]
  if count < LOOK then
    decide_kind(place, kinds[LOOK - count], script[at + 1])
    at = at + 2
  elseif count > 0 then
    decide_limits(place, count, at + 1)
    at = at + 1 + 3 * count
  elseif count == 0 then
    give_back(at + 1)
    at = at + 6
  else
    local row = rows[script[at + 1]]
    views[told + 1], views[told + 2] = row.meter.view(state_at(at + 1, 1, row), row)
    told = told + 2
    at = at + 4
  end
  place = place + 1
end
for number = 1, subjects do
  if changed[number] then
    write(number)
  elseif renewed[number] then
    keep(number, texts[number], renewed[number])
  end
end
return cmsgpack.pack({now, views, others, near})
