"""Finished recordings made by hand, thousands in a second: what sessions and the sealer would have left
in a spool."""

import base64
import hashlib
import json
import os
import random
import struct
import time
import zlib

GZIP_HEADER = bytes([31, 139, 8, 0, 0, 0, 0, 0, 0, 255])


def identity(when_ms, chance):
    """A UUIDv7."""
    high = (when_ms << 16) | 0x7000 | chance.getrandbits(12)
    return "%08x-%04x-%04x-%04x-%012x" % (high >> 32, (high >> 16) & 0xffff, high & 0xffff,
                                          0x8000 | chance.getrandbits(14), chance.getrandbits(48))


def make_recording(spool, organization, socket, size=20 << 10, chance=random, when=None):
    """A recording whose file has about `size` bytes, of a session that began at `when` (seconds since
    1970). Returns its id and what the session showed."""
    when_ms = int((time.time() if when is None else when) * 1000)
    name = identity(when_ms, chance)
    shown = base64.b64encode(chance.randbytes(max(size - 600, 0)))
    facts = {"id": name, "organization": organization, "socket": socket, "user": "alice",
             "kind": "exec"}
    header = {"version": 2, "width": 80, "height": 24, "timestamp": when_ms // 1000,
              "castbucket": facts}
    text = b"".join(json.dumps(line).encode() + b"\n"
                    for line in (header, [0.5, "o", shown.decode()], [0.75, "x", "0"]))
    deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
    chunk = deflate.compress(text) + deflate.flush(zlib.Z_FULL_FLUSH)
    cast = GZIP_HEADER + chunk + deflate.flush() + struct.pack("<II", zlib.crc32(text), len(text))
    digest = hashlib.sha256(chunk).digest()
    chain = hashlib.sha256(hashlib.sha256(name.encode()).digest() + digest).hexdigest()
    manifest = {
        "format": "castbucket-manifest", "version": 1, **facts, "target_user": "alice",
        "connection_id": "", "host": "made", "command": "made", "columns": 80, "rows": 24,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(when_ms // 1000)) +
                   ".%03d000Z" % (when_ms % 1000),
        "duration": 0.75, "cast_version": 2, "end": "exited", "exit_status": 0,
        "output_bytes": len(shown), "input_bytes": 0, "lost_bytes": 0, "cast_bytes": len(text),
        "size": len(cast), "sha256": hashlib.sha256(cast).hexdigest(), "chain": chain,
        "chunks": [{"offset": len(GZIP_HEADER), "size": len(chunk), "cast_offset": 0,
                    "cast_size": len(text), "time": 0.75, "sha256": digest.hex()}]}
    sealed = os.path.join(spool, "sealed")
    os.makedirs(sealed, exist_ok=True)
    for end, data in ((".cast.gz", cast), (".json", json.dumps(manifest).encode() + b"\n")):
        with open(os.path.join(sealed, name + end), "wb") as file:
            file.write(data)
    return name, shown
