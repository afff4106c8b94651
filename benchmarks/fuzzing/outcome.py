"""What may become of a damaged file."""

from __future__ import annotations

ACCEPTED = "accepted"
"""Read: the change did no harm, or made another valid file."""

REFUSED = "refused"
"""One of npuc's own errors, with a message for a user."""

TRACEBACK = "traceback"
"""Any other exception: a user would see "internal error"."""

HANG = "hang"
"""Not done within `SECONDS` of processor time, or waiting for something."""

MEMORY = "memory"
"""More than `MEGABYTES` beyond what the process had before."""

CRASH = "crash"
"""The process ended: a signal, an abort."""

OUTCOMES = (ACCEPTED, REFUSED, TRACEBACK, HANG, MEMORY, CRASH)
BAD = (TRACEBACK, HANG, MEMORY, CRASH)

SECONDS = 10.0
MEGABYTES = 1024
