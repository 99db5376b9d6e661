"""Random bits for ids that need to be unique, not secret: an order of magnitude cheaper than asking the system."""

from __future__ import annotations

import os
import random

# Seeded by the system. An instance of our own: a host that calls random.seed() must not make our ids repeat.
_generator = random.Random()  # noqa: S311 - trace and span ids are no secrets

if hasattr(os, "register_at_fork"):  # a forked worker must not go on with its parent's sequence
    os.register_at_fork(after_in_child=_generator.seed)

#: Source of random bits for trace and span ids.
fast_bits = _generator.getrandbits
