"""The power is cut before each call that syncs or changes a name, from the first byte of a session
to the last file that is removed after its upload (tests/faults/power). Whatever the disk then has
by chance of what nobody asked it to keep: all that is older than the sync interval is there."""

import glob
import os
import shutil
import subprocess

import pytest

from faults.recordings import left_in, recordings
from lab.lab import Lab
from lab.process import build_directory, die_with_parent

KINDS = ("short", "long", "transfer", "waiting", "killed", "many")


class Image(Lab):
    """What the power's return finds: a spool and a store."""

    def __init__(self, directory):
        super().__init__(directory, None)
        self.must("settings", "storage", "acme", "--type", "directory", "--path",
                  os.path.join(directory, "store"))

    def judge(self, shown, floor, kind):
        done = self.once()
        found = recordings(os.path.join(self.directory, "store"))
        mine = [one for one in found if shown.startswith(one.shown) and
                (kind != "many" or one.shown)]
        held = [name for name in left_in(self.spool) if not name.startswith("quarantine/")]
        said = "%s\n%s" % (done.stderr, left_in(self.spool))
        assert not held, said
        if kind != "many":
            assert len(found) <= 1 and len(mine) == len(found), said
        assert len(mine) == 1 or floor == 0, said
        if not mine:
            return 0
        assert len(mine[0].shown) >= floor, "%d of %d\n%s" % (len(mine[0].shown), floor, said)
        # A damaged end is told, and its journal kept.
        assert done.returncode == 0 or mine[0].manifest.get("damaged") or floor == 0, said
        return len(mine[0].shown)


def files(folder):
    """All that are in an image, with their sizes."""
    found = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]
    return ", ".join("%s %d" % (os.path.relpath(path, folder), os.path.getsize(path))
                     for path in sorted(found))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_older_than_the_sync_interval_survives_a_loss_of_power(tmp_path, kind, seed, say):
    root, images = tmp_path / "root", tmp_path / "images"
    for folder in (root / "spool", root / "store", images):
        folder.mkdir(parents=True)
    Image(str(root))
    program = os.path.join(build_directory(), "tests", "faults", "power_loss")
    words = [program, str(root), str(images), kind, str(seed)]
    count, calls = 0, {}
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          preexec_fn=die_with_parent) as process:
        for line in process.stdout:
            path, floor, call, luck = line.split()
            shown = (images / "shown").read_bytes()
            had = files(path)
            try:
                Image(path).judge(shown, int(floor), kind)
            except Exception as problem:
                process.kill()
                raise AssertionError("SEED=%d, before %s number %d, with %s: %s\n%s" % (
                    seed, call, count, luck, had, problem)) from problem
            shutil.rmtree(path)
            count += 1
            calls[call] = calls.get(call, 0) + 1
            process.stdin.write("\n")
            process.stdin.flush()
    assert process.returncode == 0, "SEED=%d: exit status %d" % (seed, process.returncode)
    assert not glob.glob(str(images / "[0-9]*"))
    say("%s: power lost %d times (%s), SEED=%d" % (kind, count, ", ".join(
        "%s %d" % (name, calls[name]) for name in sorted(calls)), seed))
