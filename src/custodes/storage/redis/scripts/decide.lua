-- Decides on requests, one after the other, each on all its limits at once: all are charged, or none.
--
-- KEYS     the states that take part
-- ARGV[1]  MessagePack: {rows, script}
--   rows    one list for each limit and cost: {algorithm, in shadow, cost, then what the algorithm needs}
--   script  for each request: how many limits, then for each the number of its row and of its key;
--           or 0, to give back: number of the row and of the key, the moment of the charge, units;
--           or -1, to look: number of the row and of the key
-- Returns  MessagePack: {now, then for each request a status and what belongs to it, see below; for each look the view}
--
-- States are read once, decided on in memory and written once, however many requests of the call are about them.

local meters = {log, subwindows, gcra, calendar, concurrency}

local asked = cmsgpack.unpack(ARGV[1])
local rows, script = asked[1], asked[2]
-- By number of the key: states, and the row by which one that has changed is to be written.
local states, changed = {}, {}
-- Of the limits of the request at hand: how long each has to be waited for.
local waits = {}
local answer, size = {now}, 1

-- All admit and were charged: what is left, and microseconds until there is more, of each.
local CHARGED = 0
-- Some refuse, or would in shadow: the same, and how long each has to be waited for.
local CONTESTED = 1
-- The clock of who asked is too far off.
local OFF = 2

for _, row in ipairs(rows) do row[1] = meters[row[1]] end

local function state_of(row, number)
  local state = states[number]
  if not state then
    state = row[1].load(KEYS[number], row)
    states[number] = state
  end
  return state
end

local function give_back(at)
  local row, number = rows[script[at]], script[at + 1]
  if row[1].give_back(state_of(row, number), row, script[at + 2], script[at + 3]) then changed[number] = row end
end

local function decide(at, last)
  local refused, contested = false, false
  for here = at, last, 2 do
    local row, number = rows[script[here]], script[here + 1]
    local wait = row[1].wait(states[number] or state_of(row, number), row)
    if wait ~= 0 then
      if not wait then
        size = size + 1
        answer[size] = OFF
        return
      end
      contested = true
      refused = refused or row[2] == 0
    end
    waits[here] = wait
  end
  size = size + 1
  answer[size] = contested and CONTESTED or CHARGED
  for here = at, last, 2 do
    local row, number = rows[script[here]], script[here + 1]
    local meter, state = row[1], states[number]
    if not refused and waits[here] == 0 then
      meter.charge(state, row)
      changed[number] = row
    end
    answer[size + 1], answer[size + 2] = meter.view(state, row)
    size = size + 2
    if contested then
      size = size + 1
      answer[size] = waits[here]
    end
  end
end

local at, length = 1, #script
while at <= length do
  local count = script[at]
  if count == 0 then
    give_back(at + 1)
    at = at + 5
  elseif count == -1 then
    local row = rows[script[at + 1]]
    answer[size + 1], answer[size + 2] = row[1].view(state_of(row, script[at + 2]), row)
    size = size + 2
    at = at + 3
  else
    decide(at + 1, at + 2 * count)
    at = at + 1 + 2 * count
  end
end
for number, row in pairs(changed) do row[1].store(states[number], row) end
return cmsgpack.pack(answer)
