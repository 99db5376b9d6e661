"""The garbage collector of a process that serves.

Nearly everything of a request dies by its reference count. CPython's collector looks for the rest, for cycles, each
time that 700 more objects were made than died, and then looks at all of them. Under load a few dozen requests are under
way, each with some forty objects that it could look at: they alone are more than that, so it runs all the time, finds
nothing, and takes them for long-lived. And now and then it looks at everything that was imported, 0.1 s at a time.
"""

from __future__ import annotations

import gc

#: Objects more, made than died, before the collector looks at the young ones: above what several hundred requests under
#: way hold, and some 5 MB of garbage at most.
YOUNG_OBJECTS = 25_000


def settle() -> None:
    """Have the collector leave alone what is there by now, and look at the young less often.

    For the moment when a process has started: what was imported and built stays until its end. A program that has
    turned the collector off, or set it to look less often still, keeps what it has set.
    """
    gc.collect()
    gc.freeze()
    young, *older = gc.get_threshold()
    if 0 < young < YOUNG_OBJECTS:
        gc.set_threshold(YOUNG_OBJECTS, *older)
