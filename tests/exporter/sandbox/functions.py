"""What tests call in a child process."""

import os
import resource
import socket
import time
from pathlib import Path

from exporter.errors import ExportError

_KEPT = []


def echo(content, **arguments):
    return arguments or content


def remember(content):
    _KEPT.append(content)
    return len(_KEPT)


def refuse(content):
    raise ExportError("no", where="a file", received="one\ntwo", remedy="stop")


def fail(content):
    raise KeyError("absent")


def allocate(content, size):
    return len(bytearray(size))


def abort(content):
    os.abort()


def loop(content):
    while True:
        pass


def sleep(content, seconds):
    time.sleep(seconds)


def write(content, path):
    Path(path).write_bytes(content)


def connect(content, port):
    socket.create_connection(("127.0.0.1", port), timeout=5).close()


def limit(content):
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
