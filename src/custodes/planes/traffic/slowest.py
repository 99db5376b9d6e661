"""Which endpoints are the slowest, by the histograms of as few as can be told without reading all."""

from __future__ import annotations

from heapq import nlargest

from custodes.planes.traffic.asked import Asked, by_name
from custodes.planes.traffic.ports import Snapshot
from custodes.planes.traffic.ranking import ERROR_ORDERS, bounds_of, by_errors, value_of

#: Endpoints whose histograms are read at once.
_PORTION = 50


def slowest(snapshot: Snapshot, called: Asked, limit: int, min_count: int, order_by: str) -> list[tuple[str, str]]:
    """Rank endpoints: by sums alone, or by the times of those that can be among the first."""
    sums = by_name(called.sums(snapshot)())
    if order_by in ERROR_ORDERS:
        failing = [key for key, one in sums.items() if one.server_errors and one.count >= min_count]
        return sorted(failing, key=lambda key: (*by_errors(sums[key], order_by), key))[:limit]
    bounds = {
        key: bounds_of(figures, order_by)
        for key, figures in sums.items()
        if figures.timed and figures.count >= min_count
    }
    candidates = sorted(bounds, key=lambda key: (-bounds[key].most, key))
    portions = [candidates[begin : begin + _PORTION] for begin in range(0, len(candidates), _PORTION)]
    # What is likely to be needed is asked for at once: a server reads the next portion while one is added up here.
    guesses = nlargest(limit, (each.likely for each in bounds.values()))
    guess = guesses[-1] if len(guesses) == limit else 0.0
    ahead = 1 + sum(bounds[portion[0]].most > guess for portion in portions[1:])
    asked = [called.of(portion, ranking=True).rollups(snapshot) for portion in portions[:ahead]]
    ranked: list[tuple[float, tuple[str, str]]] = []
    for place, portion in enumerate(portions):
        if len(ranked) >= limit and -ranked[-1][0] >= bounds[portion[0]].most:
            break  # none of the rest can be slower: their upper bounds only fall
        if place == len(asked):
            asked.append(called.of(portion, ranking=True).rollups(snapshot))
        measured = by_name(asked[place]())
        ranked = sorted([*ranked, *((-value_of(one, order_by), key) for key, one in measured.items())])[:limit]
    return [key for _, key in ranked]
