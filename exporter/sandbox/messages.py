"""What parent and child say to each other: one line of JSON, and bytes where a value is none of JSON's."""

from __future__ import annotations

import json
from multiprocessing.connection import Connection
from typing import Any

MAX_MESSAGE_BYTES = 1 << 30


def send(connection: Connection[Any, Any], header: dict[str, Any], content: bytes = b"") -> None:
    """Sends one message.

    Raises:
        OSError: The other side is gone.
    """
    connection.send_bytes(json.dumps(header).encode())
    connection.send_bytes(content)


def receive(connection: Connection[Any, Any]) -> tuple[dict[str, Any], bytes]:
    """Waits for one message.

    Raises:
        EOFError: The other side is gone. So is OSError.
    """
    header = json.loads(connection.recv_bytes(MAX_MESSAGE_BYTES))
    return header, connection.recv_bytes(MAX_MESSAGE_BYTES)
