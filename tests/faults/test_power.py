"""The power is cut before each call that syncs or changes a name, from the first byte of a session
to the last file that is removed after its upload (tests/faults/power). Whatever the disk then has
by chance of what nobody asked it to keep: all that is older than the sync interval is there."""

import os
import random
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


class Loss:
    """One run of tests/faults/power/power_loss.c, each of whose images is judged."""

    def __init__(self, folder, kind, seed):
        self.images, self.kind, self.seed = os.path.join(folder, "images"), kind, seed
        self.shown, self.count, self.calls = None, 0, {}
        os.mkdir(self.images)

    def run(self, root, kind, *more, each=lambda path, floor: None, env=None):
        program = os.path.join(build_directory(), "tests", "faults", "power_loss")
        with subprocess.Popen([program, root, self.images, kind, str(self.seed), *more],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              preexec_fn=die_with_parent, env=env) as process:
            try:
                for line in process.stdout:
                    path, floor, call, luck = line.split()
                    each(path, int(floor))
                    self.judge(path, int(floor), call, luck)
                    process.stdin.write("\n")
                    process.stdin.flush()
            except BaseException:
                process.kill()
                raise
        assert process.returncode == 0, "SEED=%d: exit status %d" % (self.seed, process.returncode)

    def judge(self, path, floor, call, luck):
        had = files(path)
        if self.shown is None:
            with open(os.path.join(self.images, "shown"), "rb") as file:
                self.shown = file.read()
        try:
            Image(path).judge(self.shown, floor, self.kind)
        except Exception as problem:
            raise AssertionError("SEED=%d, %s: before %s, number %d, with %s: %s\n%s" % (
                self.seed, self.kind, call, self.count, luck, had, problem)) from problem
        shutil.rmtree(path)
        self.count += 1
        self.calls[call] = self.calls.get(call, 0) + 1

    def __str__(self):
        return "%s: power lost %d times (%s), SEED=%d" % (self.kind, self.count, ", ".join(
            "%s %d" % (name, self.calls[name]) for name in sorted(self.calls)), self.seed)


def make_root(tmp_path):
    root = tmp_path / "root"
    for folder in (root / "spool", root / "store"):
        folder.mkdir(parents=True)
    Image(str(root))
    return str(root)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_older_than_the_sync_interval_survives_a_loss_of_power(tmp_path, kind, seed, say):
    loss = Loss(tmp_path, kind, seed)
    loss.run(make_root(tmp_path), kind)
    say(str(loss))


@pytest.mark.parametrize("kind", ["short", "long", "transfer"])
def test_another_loss_of_power_while_it_recovers_is_survived(tmp_path, kind, seed, say):
    """Of three images, each of them."""
    loss, kept = Loss(tmp_path, kind, seed), []
    dice = random.Random(seed)

    def keep(path, floor):
        if floor and len(kept) < 3 and dice.random() < 0.03:
            copy = str(tmp_path / ("kept%d" % len(kept)))
            shutil.copytree(path, copy)
            kept.append((copy, floor))

    loss.run(make_root(tmp_path), kind, each=keep)
    again = Loss(tmp_path / "root", kind, seed)
    again.shown = loss.shown
    for path, floor in kept:
        Image(path)
        again.run(path, "recover", str(floor))
    say("twice, %s" % again)
