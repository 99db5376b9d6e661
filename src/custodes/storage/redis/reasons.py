"""Why Redis does not decide, in words for whoever has to put it right."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator

#: By the code that Redis begins an error with; the client strips it from those it has a class for.
_CODES = {
    "MOVED": "it is a node of a cluster: write redis+cluster://",
    "READONLY": "it is a replica, which cannot be written to: name the primary, or its Sentinels",
    "OOM": "its memory is full (maxmemory), and it evicts nothing",
    "MISCONF": "it refuses writes, for it could not save them to its disk",
    "NOPERM": "the user of the URL may not run the commands or use the keys that limits need",
    "NOAUTH": "it asks for a password",
    "WRONGPASS": "it does not take the user and password of the URL",
    "LOADING": "it has just started and reads what it has kept",
    "CLUSTERDOWN": "a part of the cluster's slots has no node",
    "BUSY": "a script of somebody else's holds it up",
}

#: The same by class of the client, of which those that are made of others come first.
_CLASSES = {
    "MovedError": "MOVED",
    "ReadOnlyError": "READONLY",
    "OutOfMemoryError": "OOM",
    "NoPermissionError": "NOPERM",
    "AuthenticationError": "WRONGPASS",
    "AuthenticationWrongNumberOfArgsError": "WRONGPASS",
    "BusyLoadingError": "LOADING",
    "ClusterDownError": "CLUSTERDOWN",
}

_NO_SENTINEL = "what the URL names as a Sentinel is none"

#: What Redis says without a code, and what it means.
_SAID = (
    ("Authentication required", _CODES["NOAUTH"]),
    ("called without any password", "it knows no password, and the URL has one"),
    ("cluster support disabled", "it is no cluster: write redis://"),
    ("unknown command 'SENTINEL'", _NO_SENTINEL),
    ("unknown command `SENTINEL`", _NO_SENTINEL),  # Redis 6.2
    ("No master found", "the Sentinels watch no primary of that name, or none that is up"),
    ("DB index is out of range", "it has no database of the URL's number"),
)

_CODE = re.compile(rf"\b({'|'.join(_CODES)})\b")


def reason(error: BaseException) -> str:
    """Say what an error of the client's, or of the network's, means.

    Nothing is repeated of what the server said, nor of the URL: either may hold a secret.
    """
    chain = list(_chain(error))
    for one in chain:
        text = str(one)
        for said, meant in _SAID:
            if said in text:
                return meant
        code = _CLASSES.get(type(one).__name__) or (_CODE.findall(text) or [""])[0]
        if code:
            return _CODES[code]
        if isinstance(one, socket.gaierror):
            return "the name of its host is not known"
        if isinstance(one, ssl.SSLError):
            return "a TLS connection could not be made (rediss://)"
        if isinstance(one, ConnectionRefusedError):
            return "nobody listens at its address"
    if any(isinstance(one, TimeoutError) for one in chain):
        return "it said nothing in time"
    return f"the connection failed ({type(error).__name__})"


def undecided(error: BaseException) -> str:
    """Say the same in a sentence."""
    return f"Redis cannot decide: {reason(error)}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
