"""The stamp of a serialised message that begins with a std_msgs/Header, without decoding the rest.

CDR (OMG DDS-XTypes 7.4): four bytes of encapsulation, the second one's lowest bit set for little-endian, then the
fields in order; a Header begins with int32 sec and uint32 nanosec.
"""

from __future__ import annotations

import struct

from ..errors import FrameError

_NS_PER_S = 1_000_000_000


def _layout(cdr: bytes) -> struct.Struct:
    if len(cdr) < 12 or cdr[0] != 0:
        raise FrameError(f'A serialised message of {len(cdr)} bytes has no header; the middleware delivered garbage.')
    return struct.Struct('<iI' if cdr[1] & 1 else '>iI')


def header_stamp_ns(cdr: bytes) -> int:
    """Return the stamp, ns; raise FrameError if the message is too short."""
    sec, nanosec = _layout(cdr).unpack_from(cdr, 4)
    return int(sec) * _NS_PER_S + int(nanosec)


def with_header_stamp(cdr: bytes, stamp_ns: int) -> bytes:
    """Return the message with another stamp; raise FrameError if it is too short."""
    return b''.join((cdr[:4], _layout(cdr).pack(*divmod(stamp_ns, _NS_PER_S)), cdr[12:]))
