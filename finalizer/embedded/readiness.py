"""Ports on loopback, and when a broker on one counts as ready: when it answers a metadata request and names a broker.

An open port is not enough: a broker listens before it knows its own cluster.
"""

import socket
import struct
import time

from finalizer.embedded.child import Child

# https://kafka.apache.org/protocol.html#The_Messages_Metadata: request header v1 (api key 3, version 1, correlation id,
# client id), and an empty list of topics, which asks for the brokers alone and creates nothing.
CORRELATION_ID = 1
CLIENT_ID = b"span-finalizer"
REQUEST_BODY = struct.pack(f">hhih{len(CLIENT_ID)}si", 3, 1, CORRELATION_ID, len(CLIENT_ID), CLIENT_ID, 0)
REQUEST = struct.pack(">i", len(REQUEST_BODY)) + REQUEST_BODY
ANSWER_SECONDS = 1.0
PAUSE_SECONDS = 0.02


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Tell whether a broker could listen on this loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a port that was just left is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Tell whether a broker on this loopback port answers a metadata request and names a broker in it."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS) as connection:
            connection.sendall(REQUEST)
            head = connection.recv(12, socket.MSG_WAITALL)  # size, correlation id, number of brokers
    except OSError:
        return False
    if len(head) < 12:
        return False
    _, correlation, brokers = struct.unpack(">iii", head)
    return bool(correlation == CORRELATION_ID and brokers > 0)


def wait_until_ready(port: int, child: Child, *, limit_seconds: float) -> bool:
    """Wait for the first answer on ``port``; false where the child ended or the limit was reached first."""
    give_up = time.monotonic() + limit_seconds
    while child.alive:
        if answers(port):
            return child.alive  # an answer after our broker ended is another's
        if time.monotonic() >= give_up:
            return False
        time.sleep(PAUSE_SECONDS)
    return False
