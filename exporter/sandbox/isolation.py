"""Takes from a process what a parser does not need: the network, new rights, and life beyond its parent's.

Linux alone offers it; elsewhere, and where an administrator forbids user namespaces, a child keeps the network.
"""

from __future__ import annotations

import ctypes
import os
import sys

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38  # linux/prctl.h
_SIGKILL = 9


def leave_network() -> str:
    """Moves this process, which must have one thread, into a network namespace with nothing in it.

    Returns:
        Why that is not possible; empty where it is done.
    """
    if sys.platform != "linux":
        return f"{sys.platform} has no network namespaces"
    libc = ctypes.CDLL(None, use_errno=True)
    # whoever may do it without a user namespace keeps the right to read other users' files
    if libc.unshare(_CLONE_NEWNET) == 0 or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
        return ""
    return os.strerror(ctypes.get_errno())


def renounce_rights(parent: int) -> None:
    """No program that this process starts gains rights; it ends when the thread that started it does.

    Args:
        parent: Process that started this one; 0 where it may outlive the thread.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if parent:
        libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before the line above
            os._exit(1)
