"""ls, get and play: against a directory store, on pipes and on terminals."""

import gzip
import hashlib
import json
import os
import re
import signal
import stat
import termios

import pyte
import pytest

from lab.process import Terminal, program, run

RESET = b"\x1b[?25h"


@pytest.fixture
def reader(home):
    """An installation whose organization acme stores in a directory."""
    home.store = os.path.join(home.directory, "store")
    os.mkdir(home.store)
    home.must("settings", "storage", "acme", "--type", "directory", "--path", home.store)
    home.socket("web-1", "acme", "on", "--input", "on")
    home.socket("web-2", "acme")
    return home


def stored(lab, command, socket="web-1", **keywords):
    """Records one command; its line of `ls --json`."""
    before = {entry["id"] for entry in lab.ls("acme")}
    lab.record(socket, command, **keywords)
    done = lab.once()
    assert done.returncode == 0, done.stderr
    new = [entry for entry in lab.ls("acme") if entry["id"] not in before]
    assert len(new) == 1
    return new[0]


def path_of(lab, entry):
    return os.path.join(lab.store, entry["key"])


def get(lab, *words, **keywords):
    return lab.castbucket("get", *words, **keywords)


def test_an_empty_list_prints_nothing(reader):
    done = reader.castbucket("ls", "--org", "acme")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert reader.must("ls", "--org", "acme", "--json") == ""


def test_ls_says_who_when_how_long_and_how_it_ended(reader):
    first = stored(reader, "echo one; exit 3")
    second = stored(reader, "kill -TERM $$", "web-2")
    assert first["socket"] == "web-1" and first["exit_status"] == 3 and first["end"] == "exited"
    assert first["complete"] is True and first["duration"] > 0 and first["kind"] == "exec"
    assert first["command"] == "echo one; exit 3" and first["user"]
    assert first["size"] == os.path.getsize(path_of(reader, first))
    assert first["key"] == "org=acme/socket=web-1/date=%s/%s.cast.gz" % (
        first["started"][:10], first["id"])
    assert second["exit_status"] is None and second["signal"] == "TERM"
    table = reader.must("ls", "--org", "acme").splitlines()
    assert re.match(r"STARTED \(UTC\) +DURATION +USER +SOCKET +SIZE +EXIT +COMMAND +ID$", table[0])
    assert len(table) == 3
    assert table[1].split()[0] == first["started"][:10] and table[1].endswith("  " + first["id"])
    assert " TERM " in table[2] and "web-2" in table[2]
    assert [entry["id"] for entry in reader.ls("acme", "--socket", "web-2")] == [second["id"]]


def test_ls_takes_times_and_refuses_what_is_none(reader):
    first = stored(reader, "echo one")
    second = stored(reader, "echo two")
    ids = lambda *words: [entry["id"] for entry in reader.ls("acme", *words)]
    assert ids("--since", second["started"]) == [second["id"]]
    assert ids("--until", second["started"]) == [first["id"]]
    assert ids("--since", "1h") == ids("--since", first["started"][:10]) == [first["id"],
                                                                             second["id"]]
    assert ids("--until", "1h") == []
    done = reader.castbucket("ls", "--org", "acme", "--since", "soon")
    assert done.returncode == 2 and "--since is a time" in done.stderr and "soon" in done.stderr
    assert reader.castbucket("ls").returncode == 2
    done = reader.castbucket("ls", "--org", "nobody")
    assert done.returncode == 1 and "no organization 'nobody'" in done.stderr


def test_ls_fits_a_narrow_terminal_and_shows_ids_that_commands_take(reader):
    entry = stored(reader, "echo " + "long " * 40)
    screen = Terminal([program("castbucket"), "ls", "--org", "acme"], columns=100,
                      env=reader.environment())
    assert screen.finish() == 0
    lines = screen.seen.decode().splitlines()
    assert len(lines) == 2 and all(len(line) <= 100 for line in lines)
    shown = lines[1].split()[-1]
    assert entry["id"].startswith(shown) and "\u2026" in lines[1]
    assert get(reader, shown, "--org", "acme", "--raw").returncode == 0


def test_hostile_strings_reach_no_terminal(reader):
    entry = stored(reader, "echo '\x1b]0;evil\x07 \u009b31m \u202e gpj'")
    assert "\u202e" in entry["command"]
    screen = Terminal([program("castbucket"), "ls", "--org", "acme"], columns=300,
                      env=reader.environment())
    assert screen.finish() == 0
    shown = screen.seen.decode()
    assert not re.search("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", shown)
    assert "\\x1b]0;evil\\x07" in shown and "\\u{202e}" in shown


def test_what_contradicts_its_manifest_is_named_and_the_rest_is_listed(reader):
    good = stored(reader, "echo good")
    young = stored(reader, "echo young")
    os.unlink(path_of(reader, young).replace(".cast.gz", ".json"))
    broken = stored(reader, "echo broken")
    with open(path_of(reader, broken).replace(".cast.gz", ".json"), "wb") as file:
        file.write(b"{\x1b[2J")
    copied = path_of(reader, good).replace("socket=web-1", "socket=elsewhere")
    os.makedirs(os.path.dirname(copied))
    for suffix in (".cast.gz", ".json"):
        with open(path_of(reader, good).replace(".cast.gz", suffix), "rb") as source, \
                open(copied.replace(".cast.gz", suffix), "wb") as target:
            target.write(source.read())
    done = reader.castbucket("ls", "--org", "acme", "--json")
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["complete"], "problem" in line) for line in sorted(
        lines, key=lambda line: (line["id"], line["socket"]))] == [
            (False, True), (True, False), (False, False), (False, True)]
    assert "unreadable" in done.stderr and "another recording's" in done.stderr
    assert "\x1b" not in done.stderr
    assert next(line for line in lines if line["id"] == young["id"])["user"] is None


def test_get_saves_the_stored_bytes_and_replaces_nothing(reader):
    entry = stored(reader, "echo kept")
    here = os.path.join(reader.directory, "here")
    os.mkdir(here)
    words = (entry["id"], "--org", "acme")
    assert get(reader, *words, cwd=here).returncode == 0
    name = os.path.join(here, entry["id"] + ".cast.gz")
    assert os.listdir(here) == [os.path.basename(name)]
    assert stat.S_IMODE(os.stat(name).st_mode) == 0o600
    with open(name, "rb") as saved, open(path_of(reader, entry), "rb") as original:
        assert saved.read() == original.read()
    done = get(reader, *words, cwd=here)
    assert done.returncode == 1 and "--force" in done.stderr
    assert get(reader, *words, "--force", cwd=here).returncode == 0
    assert get(reader, *words, "-o", "-").raw[:2] == b"\x1f\x8b"
    assert get(reader, *words, "-o", "/dev/full").returncode == 1
    assert get(reader, *words, "-o", os.path.join(here, "none", "x")).returncode == 1
    done = get(reader, *words, "-o", here)
    assert done.returncode == 1 and "is a directory" in done.stderr
    assert os.listdir(here) == [os.path.basename(name)]


def test_get_raw_is_what_the_terminal_got_byte_for_byte(reader):
    source = os.path.join(reader.directory, "bytes")
    data = os.urandom(300000) + b"\r\n\n\r\xe2\x82"
    with open(source, "wb") as file:
        file.write(data)
    entry = stored(reader, "cat %s" % source)
    assert get(reader, entry["id"], "--org", "acme", "--raw").raw == data
    assert get(reader, entry["id"][:13], "--org", "acme", "--raw", "-o",
               source + ".out").returncode == 0
    with open(source + ".out", "rb") as file:
        assert file.read() == data


def test_streams_come_apart(reader):
    entry = stored(reader, "cat; echo out; echo err >&2; sleep 0.1; printf '\\377'",
                   input=b"typed\n")
    streams = {name: get(reader, entry["id"], "--org", "acme", "--raw", "--stream", name).raw
               for name in ("stdout", "stderr", "input")}
    assert streams == {"stdout": b"typed\nout\n\xff", "stderr": b"err\n", "input": b"typed\n"}
    assert get(reader, entry["id"], "--org", "acme", "--raw", "--stream", "x").returncode == 2
    assert get(reader, entry["id"], "--org", "acme", "--stream", "stdout").returncode == 2


def test_a_changed_recording_is_found_out_and_not_put_in_place(reader):
    entry = stored(reader, "echo original")
    path = path_of(reader, entry)
    with open(path, "rb") as file:
        text = gzip.decompress(file.read())
    os.chmod(path, 0o600)
    forged = gzip.compress(text.replace(b"original", b"innocent"))
    with open(path, "wb") as file:
        file.write(forged)
    target = os.path.join(reader.directory, "x")
    words = (entry["id"], "--org", "acme", "-o", target)
    for more in ((), ("--raw",)):
        done = get(reader, *words, *more)
        assert done.returncode == 1 and "manifest says" in done.stderr, done.stderr
        assert not os.path.exists(target)
    done = get(reader, *words, "--unverified")
    assert done.returncode == 1
    with open(target, "rb") as file:
        assert hashlib.sha256(file.read()).digest() == hashlib.sha256(forged).digest()
    done = reader.castbucket("play", entry["id"], "--org", "acme", "--speed", "max")
    assert done.returncode == 1 and "innocent" in done.stdout and "manifest says" in done.stderr


def test_what_is_readable_of_a_torn_file_is_shown(reader):
    entry = stored(reader, "for i in $(seq 20000); do echo line $i; done")
    torn = os.path.join(reader.directory, "torn.cast.gz")
    with open(path_of(reader, entry), "rb") as source, open(torn, "wb") as target:
        target.write(source.read()[:entry["size"] * 2 // 3])
    done = get(reader, torn, "--raw")
    assert done.returncode == 1 and "torn.cast.gz: damaged at byte" in done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) > 5000 and lines[:3] == ["line 1", "line 2", "line 3"]


def test_an_id_is_whole_or_a_beginning_that_only_one_has(reader):
    entry = stored(reader, "echo one")
    other = stored(reader, "echo two")
    done = get(reader, entry["id"][:8], "--org", "acme", "--raw")
    assert done.returncode == 1 and entry["id"] in done.stderr and other["id"] in done.stderr
    done = get(reader, entry["id"][:7], "--org", "acme", "--raw")
    assert done.returncode == 1 and "is not a recording's id" in done.stderr
    done = get(reader, "0" * 8, "--org", "acme", "--raw")
    assert done.returncode == 1 and "no recording" in done.stderr
    done = get(reader, entry["id"], "--raw")
    assert done.returncode == 2 and "--org" in done.stderr


def test_local_files_need_no_organization_and_no_settings(reader):
    entry = stored(reader, "echo local")
    path = path_of(reader, entry)
    plain = os.path.join(reader.directory, "x.cast")
    with gzip.open(path) as source, open(plain, "wb") as target:
        target.write(source.read())
    bare = {"PATH": os.environ["PATH"]}
    for word in (path, plain, "./x.cast", "x.cast"):
        for words in (("get", word, "--raw"), ("play", word, "--speed", "max")):
            done = run([program("castbucket"), *words], env=bare, cwd=reader.directory)
            assert done.returncode == 0 and done.stdout.split() == [b"local"], done
    with open(plain, "rb") as file:
        done = run([program("castbucket"), "play", "-", "--speed", "max"], env=bare, stdin=file)
    assert done.stdout.split() == [b"local"]
    done = run([program("castbucket"), "play", "./none"], env=bare, cwd=reader.directory)
    assert done.returncode == 1 and b"./none" in done.stderr


def cast(path, *events, size=(80, 24)):
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps({"version": 2, "width": size[0], "height": size[1]}) + "\n")
        for event in events:
            file.write(json.dumps(event) + "\n")
    return path


def player(lab, path, *words, **keywords):
    return Terminal([program("castbucket"), "play", path, *words], env=lab.environment(),
                    **keywords)


def modes(screen):
    """Input, output and local modes of the terminal, as its owner sees them."""
    found = termios.tcgetattr(screen.master)
    return found[0], found[1], found[3]


def player_in_a_shell(reader, path):
    """The terminal's modes before the player has begun, and the terminal: a shell keeps it open, so
    that its modes can be looked at afterwards, too."""
    screen = Terminal(["sh", "-c", 'trap : INT TERM HUP; read x; "$@"; echo ended $?; read x', "sh",
                       program("castbucket"), "play", path], env=reader.environment())
    before = modes(screen)
    screen.send("\n")
    return before, screen


def test_a_replay_gives_the_terminal_back(reader):
    path = cast(os.path.join(reader.directory, "x.cast"),
                [0, "o", "\x1b[?1049h\x1b[?25l\x1b[31mhello"], [0.1, "x", "4"])
    before, screen = player_in_a_shell(reader, path)
    screen.expect("ended 0")
    assert modes(screen) == before
    after = screen.seen.split(b"hello")[1]
    assert b"\x1b[?1049l" in after and RESET in after and b"\x1b[m" in after
    assert b"[exit status 4]" in after
    screen.send("\n")
    assert screen.finish() == 0


def test_what_was_on_the_screen_before_a_replay_stays(reader):
    path = cast(os.path.join(reader.directory, "x.cast"), [0, "o", "replayed"], [0.1, "x", "4"])
    screen = player(reader, path)
    assert screen.finish() == 0
    shown = pyte.Screen(80, 24)
    stream = pyte.ByteStream(shown)
    stream.feed(b"before\r\n" + screen.seen + b"after\r\n")
    assert [line.rstrip() for line in shown.display[:4]] == ["before", "replayed",
                                                            "[exit status 4]", "after"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back_too(reader, number):
    path = cast(os.path.join(reader.directory, "x.cast"), [0, "o", "\x1b[?1049hhello"],
                [1000, "o", "never"])
    before, screen = player_in_a_shell(reader, path)
    screen.expect("hello")
    assert modes(screen) != before
    if number == signal.SIGINT:
        screen.send("\x03")
    else:
        done = run(["ps", "-o", "pid=", "--ppid", str(screen.process.pid)])
        os.kill(int(done.stdout.split()[0]), number)
    screen.expect("ended %d" % (128 + number))
    assert modes(screen) == before
    assert b"\x1b[?1049l" in screen.seen and RESET in screen.seen
    screen.send("\n")
    screen.finish()


def test_keys_pause_and_quit(reader):
    path = cast(os.path.join(reader.directory, "x.cast"), [0, "o", "one"], [0.5, "o", "two"],
                [1000, "o", "three"])
    screen = player(reader, path)
    screen.expect("one")
    screen.send(" ")
    while screen.read(1.0):
        pass
    assert b"two" not in screen.seen
    screen.send(".")
    screen.expect("two")
    screen.send(" q")
    assert screen.finish() == 0
    assert b"three" not in screen.seen and RESET in screen.seen


def test_a_smaller_terminal_is_warned(reader):
    path = cast(os.path.join(reader.directory, "x.cast"), [0, "o", "x"], size=(120, 40))
    screen = player(reader, path)
    assert screen.finish() == 0
    assert b"120 columns and 40 rows, this one has 80 and 24" in screen.seen


def test_a_recording_cannot_use_the_auditors_terminal(reader):
    path = cast(os.path.join(reader.directory, "x.cast"),
                [0, "o", "a\x1b]52;c;ZXZpbA==\x07\x1b[6n\x1b[c\x1bP$qm\x1b"], [0, "o", "\\b"])
    screen = player(reader, path)
    assert screen.finish() == 0
    assert screen.seen.startswith(b"ab\x1b\\") and b"4 control sequences" in screen.seen
    screen = player(reader, path, "--unfiltered")
    assert screen.finish() == 0
    assert b"\x1b]52;c;ZXZpbA==\x07\x1b[6n\x1b[c" in screen.seen


def test_the_modes_that_every_shell_sets_are_not_worth_a_note(reader):
    path = cast(os.path.join(reader.directory, "x.cast"),
                [0, "o", "\x1b[?2004h\x1b=$ vi\x1b[?2004l\x1b[?1000;1006h\x1b[?1004h\x1b>"])
    screen = player(reader, path)
    assert screen.finish() == 0
    assert b"$ vi" in screen.seen and b"not shown" not in screen.seen
    assert b"2004h" not in screen.seen and b"1004h" not in screen.seen


@pytest.mark.parametrize("words", [("--speed", "0.001"), ("--speed", "fast"), ("--speed", "-1"),
                                   ("--speed", "nan"), ("--idle-limit", "0"),
                                   ("--idle-limit", "x"), ("--speed",)])
def test_numbers_out_of_their_limits_are_refused(reader, words):
    done = reader.castbucket("play", "./x.cast", *words)
    assert done.returncode == 2 and words[0] in done.stderr
