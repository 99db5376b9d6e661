-- What the files after this one each offer: one algorithm of kernel/window, decision for decision the same.
--
-- row    what is asked: {algorithm, in shadow, cost, limit, then what the algorithm needs}
-- state  of one subject, in memory for as long as this script runs
--
-- load(key, row)            read a state
-- wait(state, row)          microseconds until the cost is admitted: 0 for now, NEVER, nil when it cannot be told
-- charge(state, row)        charge it; only when wait is 0
-- view(state, row)          units left, microseconds until there is more
-- store(state, row)         write it; the row is one of those that have changed it
-- give_back(state, row, at, units)  take back a charge of that moment; whether it is to be written

local NEVER = -1
