"""A listening socket for each worker, and who of them gets the connections that come. Linux only.

The kernel deals connections out among sockets of one port. A queue that all share would be fairer
in who waits, but not in who works: whichever worker wakes first takes all that is there, and keeps
it, as connections are kept. The first process makes the sockets and holds them: what waits for a
worker that dies is there for the one that follows.
"""

import ctypes
import socket
import struct
from collections.abc import Sequence

# linux/filter.h: a classic BPF program is of {code, jump if true, jump if false, constant}.
_STEP = struct.Struct("HBBI")
_LOAD_WORD, _MODULO, _IF_EQUAL, _RETURN = 0x20, 0x94, 0x15, 0x06
_RANDOM = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM: no bytes of the packet, but a random number
# asm-generic/socket.h
_SO_ATTACH_FILTER, _SO_ATTACH_REUSEPORT_CBPF = 26, 51


def listen(host: str, port: int, count: int, backlog: int) -> list[socket.socket]:
    """Return so many sockets that listen at one address. Raises OSError where others do already."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as alone:
        # Only who shares a port may have it at once with others, and two services would.
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        alone.bind(address)
        address = alone.getsockname()
    made: list[socket.socket] = []
    try:
        for _ in range(count):
            made.append(socket.socket(family, kind, protocol))
            _share(made[-1], address, backlog)
    except OSError:
        for each in made:
            each.close()
        raise
    return made


def _share(listener: socket.socket, address: object, backlog: int) -> None:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is accepted inherits it
    listener.bind(address)  # type: ignore[arg-type]
    listener.listen(backlog)
    listener.setblocking(False)


def deal_among(listeners: Sequence[socket.socket], living: Sequence[int]) -> None:
    """Give each new connection to one of these, by their places in `listeners`, by chance."""
    steps = [(_LOAD_WORD, 0, 0, _RANDOM), (_MODULO, 0, 0, len(living))]
    for number, place in enumerate(living):
        steps += [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, place)]
    steps.append((_RETURN, 0, 0, living[0]))
    _attach(listeners[0], _SO_ATTACH_REUSEPORT_CBPF, steps)


def let_nobody_in(listeners: Sequence[socket.socket]) -> None:
    """Have the kernel ignore who wants to connect; who has connected can still be accepted.

    Their next attempt, a second later, finds nobody listening. A socket that is closed instead
    would cut off those whom nobody has accepted yet.
    """
    for listener in listeners:
        _attach(listener, _SO_ATTACH_FILTER, [(_RETURN, 0, 0, 0)])  # 0 bytes of the packet are kept


def _attach(listener: socket.socket, option: int, steps: list[tuple[int, int, int, int]]) -> None:
    program = b"".join(_STEP.pack(*step) for step in steps)
    kept = ctypes.create_string_buffer(program, len(program))
    listener.setsockopt(
        socket.SOL_SOCKET, option, struct.pack("HP", len(steps), ctypes.addressof(kept))
    )
