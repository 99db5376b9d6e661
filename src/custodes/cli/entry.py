"""Where the ``custodes`` command begins: Ctrl-C ends it without a traceback from the first moment on."""

from __future__ import annotations

import signal


def main() -> None:
    """Import the command line and run it.

    The imports take a third of a second, in which nothing has begun: whoever thinks better of it meanwhile is to see
    what any other program shows, which is nothing. Where the signal is ignored (``nohup``), it stays so.
    """
    told = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if told:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from custodes.cli import main as commands

    if told:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    commands.main()
