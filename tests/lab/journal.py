"""A journal's frames, read as recorder/journal/journal_format.h lays them out."""

import struct

META, STDOUT, STDERR, INPUT, RESIZE, MARKER, GAP, END = range(1, 9)
EXITED, SIGNALED, LOST = 1, 2, 3


def read_frames(path):
    """(type, payload) of every frame."""
    with open(path, "rb") as file:
        data = file.read()
    (end,) = struct.unpack_from("<Q", data, 64)
    at, found = struct.unpack_from("<I", data, 12)[0], []
    while at < end:
        length_type = struct.unpack_from("<I", data, at)[0]
        length = length_type & 0xFFFFFF
        found.append((length_type >> 24, data[at + 16: at + 16 + length]))
        at += (16 + length + 7) & ~7
    return found


def payloads(frames, kind):
    return [payload for type, payload in frames if type == kind]


def end_of(frames):
    """(kind, status, signal) of the END frame, the last."""
    type, payload = frames[-1]
    assert type == END, frames[-1]
    kind, status, _, length = struct.unpack_from("<IIIH", payload)
    return kind, status, payload[14: 14 + length].decode()
