"""Reads recordings of a directory as somebody would who has nothing of castbucket: with gzip and
json. Says everything that is wrong with one."""

import base64
import glob
import gzip
import hashlib
import json
import os


class Recording:
    """A recording whose files contradict each other does not get past here: AssertionError."""

    def __init__(self, cast, manifest, name):
        self.name = name
        self.manifest = json.loads(manifest)
        assert hashlib.sha256(cast).hexdigest() == self.manifest["sha256"], name
        assert len(cast) == self.manifest["size"], name
        text = gzip.decompress(cast)
        assert len(text) == self.manifest["cast_bytes"], name
        assert text.endswith(b"\n"), "%s: its last line is cut" % name
        self.check_chunks(cast)
        header, *events = [json.loads(line) for line in text.split(b"\n")[:-1]]
        assert header["version"] in (2, 3), name
        self.header, self.events = header, events
        assert self.facts["id"] == self.manifest["id"] == os.path.basename(name), name
        self.streams = self.bytes_of_streams()

    @property
    def facts(self):
        return self.header["castbucket"]

    @property
    def markers(self):
        return [event[2] for event in self.events if event[1] == "m"]

    @property
    def shown(self):
        """The exact bytes of standard output, or of the terminal."""
        return self.streams["stdout"]

    def check_chunks(self, cast):
        """They follow one another, their hashes fit, and so does the chain over them."""
        at, cast_at = 0, 0
        link = hashlib.sha256(self.manifest["id"].encode()).digest()
        for chunk in self.manifest["chunks"]:
            assert chunk["offset"] >= at and chunk["cast_offset"] == cast_at, self.name
            piece = cast[chunk["offset"]:chunk["offset"] + chunk["size"]]
            assert hashlib.sha256(piece).hexdigest() == chunk["sha256"], self.name
            at, cast_at = chunk["offset"] + chunk["size"], cast_at + chunk["cast_size"]
            link = hashlib.sha256(link + bytes.fromhex(chunk["sha256"])).digest()
        assert at <= len(cast) and cast_at <= self.manifest["cast_bytes"], self.name
        assert link.hex() == self.manifest["chain"], self.name

    def lacks(self, shown):
        """How many of the bytes that were shown, of one stream, are in gaps. Each gap is marked in
        its place: between two of them is exactly what was shown there."""
        at = 0
        for piece in self.pieces:
            if isinstance(piece, int):
                at += piece
            else:
                assert shown[at:at + len(piece)] == piece, "%s: %d bytes at %d are others" % (
                    self.name, len(piece), at)
                at += len(piece)
        assert at == len(shown), "%s: %d bytes were shown, %d recorded or marked as lost" % (
            self.name, len(shown), at)
        lost = sum(piece for piece in self.pieces if isinstance(piece, int))
        assert lost == self.manifest["lost_bytes"], self.name
        return lost

    def bytes_of_streams(self):
        found = {"stdout": [], "stderr": []}
        self.pieces = []  # of both streams: bytes, and the sizes of gaps between them
        stream, before = "stdout", 0.0
        for i, (time, code, data, *rest) in enumerate(self.events):
            assert not rest and isinstance(data, str), self.name
            assert time >= (before if self.header["version"] == 2 else 0), self.name
            before = time
            if code == "s":
                stream = data
            if code == "m" and data.startswith("gap: "):
                self.pieces.append(int(data.split()[1]))
            following = self.events[i + 1] if i + 1 < len(self.events) else (0, "", "")
            if code != "o":
                continue
            if following[1] == "b":
                found[stream].append(base64.b64decode(following[2], validate=True))
            elif self.facts.get("onlcr"):
                found[stream].append(data.encode().replace(b"\r\n", b"\n"))
            else:
                found[stream].append(data.encode())
            self.pieces.append(found[stream][-1])
        return {name: b"".join(parts) for name, parts in found.items()}


def recordings(directory):
    """Every recording below a directory; nothing else may be there, but what a killed copy left in
    .incoming, which a later one removes after a day: it cannot know who else copies to there."""
    files = [path for path in glob.glob(directory + "/**", recursive=True, include_hidden=True)
             if os.path.isfile(path) and "/.incoming/" not in path]
    stems = {path[:-len(".json")] for path in files if path.endswith(".json")}
    strangers = set(files) - {stem + end for stem in stems for end in (".json", ".cast.gz")}
    assert not strangers, "not of a complete recording: %s" % sorted(strangers)
    found = []
    for stem in sorted(stems):
        with open(stem + ".cast.gz", "rb") as cast, open(stem + ".json", "rb") as manifest:
            found.append(Recording(cast.read(), manifest.read(), stem))
    return found


def left_in(spool):
    """Every file of a spool but those that stay: the lock, the status and the size."""
    found = []
    for folder, _, names in os.walk(spool):
        found += [os.path.relpath(os.path.join(folder, name), spool) for name in names]
    return sorted(set(found) - {"recorder.lock", "status.json", "usage"})
