"""A network namespace with loopback only, and free ports in it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import LaunchError

HERE = Path("/proc/thread-self/ns/net")
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
LOOPBACK = "lo"
WAYS = (
    "be root, start the command with `unshare --user --map-root-user --net`,"
    " or let others reach the deployment: site.isolation: none in the cluster document"
)


@contextmanager
def loopback_only() -> Iterator[None]:
    """Give this thread, and the processes that it starts, a network namespace with a loopback interface and no other.

    A thread that is in such a namespace already stays in it. Raise LaunchError where the machine does not allow a new one.
    """
    if not HERE.exists():
        raise LaunchError(
            "network namespaces need Linux", hint="set site.isolation: none in the cluster document"
        )
    with _handle() as before:
        code = _call("unshare", CLONE_NEWNET)
        if code and not _is_loopback_only():
            raise LaunchError(
                f"cannot create a network namespace: {os.strerror(code)}",
                where="unshare(CLONE_NEWNET)",
                hint=WAYS,
            )
        if not code:
            _refuse_one_way(before)
        _up(LOOPBACK)
        try:
            yield
        finally:
            if not code:
                _call("setns", before, CLONE_NEWNET)


def free_block(first: int, last: int, count: int) -> int:
    """Return the first of ``count`` consecutive free ports of 127.0.0.1 between ``first`` and ``last``, or raise LaunchError."""
    start = first
    while start + count - 1 <= last:
        used = next((port for port in range(start, start + count) if not _is_free(port)), None)
        if used is None:
            return start
        start = used + 1
    hint = "end the other deployment, or set other ports in the cluster document: site.first_port, site.last_port"
    raise LaunchError(f"no {count} free ports in a row", where=f"127.0.0.1:{first}-{last}", hint=hint)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT do not count
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def _handle() -> Iterator[int]:
    """A descriptor of the network namespace of this thread."""
    handle = os.open(HERE, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


def _refuse_one_way(before: int) -> None:
    """Change to the former namespace and back once: from a user namespace without its own network there is no return."""
    with _handle() as own:
        if code := _call("setns", before, CLONE_NEWNET):
            raise LaunchError(
                f"cannot return to the former network namespace: {os.strerror(code)}",
                where="setns(CLONE_NEWNET)",
                hint=WAYS,
            )
        _call("setns", own, CLONE_NEWNET)


def _call(name: str, *arguments: int) -> int:
    """Call a function of the C library that Python 3.11 lacks; return errno, or 0."""
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    return ctypes.get_errno() if function(*arguments) else 0


def _is_loopback_only() -> bool:
    return not any(_flags(name) & IFF_UP for _, name in socket.if_nameindex() if name != LOOPBACK)


def _flags(name: str) -> int:
    with socket.socket() as any_socket:
        answer = fcntl.ioctl(any_socket, SIOCGIFFLAGS, struct.pack("16sh14x", name.encode(), 0))
    flags: int = struct.unpack("16sh14x", answer)[1]
    return flags


def _up(name: str) -> None:
    flags = _flags(name)
    if flags & IFF_UP:
        return  # without the permission that a change needs
    with socket.socket() as any_socket:
        try:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", name.encode(), flags | IFF_UP))
        except OSError as error:
            raise LaunchError(
                f"interface {name} is down and cannot be set up: {error.strerror}",
                where="SIOCSIFFLAGS",
                hint=WAYS,
            ) from error
