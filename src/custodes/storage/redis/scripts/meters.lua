-- What the files after this one each return: one algorithm of kernel/window, decision for decision the same. Each becomes
-- a function, see scripts/__init__.py, and names in capitals become what they stand for.
--
-- record  a state as it is kept: tag of the limit, moment until which it is kept, length of the body, body.
--         The states of a subject under all of its limits are one string of them. A body that is longer than LONGEST has
--         a key of its own; its record says so by a length of 0.
-- row     what is asked: {algorithm, in shadow, cost, limit, tag of the limit, then what the algorithm needs}
-- state   of one subject under one limit, in memory for as long as this script runs: where its body is (AT is 0 for who
--         has none), the row that has changed it, what the algorithm knows, the limit's tag
--
-- latest(row)               up to which moment a record's end is believed: beyond, it was written a whole window ahead of now,
--                           by a clock that has been put right since, and would refuse until that moment comes; it counts
--                           as none
-- load(state, row)          understand the body; state[OWN] is the key for one that is too long for a record, false when it
--                           was not named: then nothing is known of such a one
-- wait(state, row)          microseconds until the cost is admitted: 0 for now, NEVER, nil when it cannot be told
-- charge(state, row)        charge it, only when wait is 0; returns what is left
-- view(state, row)          units left, microseconds until there is more
-- renew(text, at, row)      where it can: charge the record at this place of a text, false for a subject without one, with no
--                           state between; returns where the record ends, the one that takes its place, the moment until
--                           which that is kept, and what is left, as charge does; nothing where the cost is not admitted,
--                           or it is not that simple
-- pack(state, row)          the record and the moment until which it is kept; nothing when it says nothing now
-- give_back(state, row, at, units)  take back a charge of that moment; whether that has changed anything

-- Looked up once, not by each request.
local call, pack, unpack_text = redis.call, struct.pack, struct.unpack
local sub, rep, floor, ceil = string.sub, string.rep, math.floor, math.ceil

local NEVER = -1

-- To tell a key when it ends takes Redis half as long as to write it. So a record is kept for a part of its window longer
-- than it has to be, and while the next one need not be kept for longer than that, the key's end stays as it is.
local SPARE = 0.25

-- Whether a record of the text at hand is to be kept for longer than the one that it takes the place of.
local grown = false

-- Until when a record is kept that says something up to a moment which the one before it was not kept for.
local function prolonged(ends, window)
  grown = true
  return floor(ends + SPARE * window)
end

local RECORD, RECORD_HEAD, LONGEST = '<ddI2', 18, 1024

-- Of a row.
local ALGORITHM, IN_SHADOW, COST, LIMIT, TAG = 1, 2, 3, 4, 5

-- Of a state.
-- What an algorithm knows begins at KNOWN, which is false until it does.
local TEXT, AT, SIZE, DEAD_AT, CHANGED_BY, OWN, KNOWN, MORE, TAGGED = 1, 2, 3, 4, 5, 6, 7, 8, 12

local function has_key_of_its_own(state)
  return state[AT] > 0 and state[SIZE] == 0
end

local function body_of(state)
  return sub(state[TEXT], state[AT], state[AT] + state[SIZE] - 1)
end
