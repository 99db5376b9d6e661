"""Requests over plain HTTP.

A client that could speak TLS reads the certificates of the machine when it is made, which takes longer than most of
what is asked here.
"""

from __future__ import annotations

from functools import partial

import httpx2

#: Longest that a server may take on a busy machine, seconds.
SECONDS = 120

Client = partial(httpx2.Client, timeout=SECONDS, verify=False)
request = partial(httpx2.request, timeout=SECONDS, verify=False)
get = partial(httpx2.get, timeout=SECONDS, verify=False)
post = partial(httpx2.post, timeout=SECONDS, verify=False)
