"""Recordings in the players of others, and on a terminal's screen: the same as they were live."""

import functools
import gzip
import http.server
import json
import os
import re
import shutil
import threading

import pyte
import pytest

from lab.node import install
from lab.process import Daemon, Terminal, environment, program, run, wait_until

# Plays to the end, waits until the screen has not changed for half a second, and sends its lines.
PAGE = """<!doctype html><meta charset="utf-8"><title>x.cast</title>
<link rel="stylesheet" href="asciinema-player.css"><div id="player"></div>
<script src="asciinema-player.min.js"></script><script>
function tell(what, lines) {
    fetch('/told', {method: 'POST', body: JSON.stringify({what: what, lines: lines})});
}
function screen() {
    return [...document.querySelectorAll('.ap-line')].map(line => line.textContent);
}
function settle(before, times) {
    const now = screen();
    const same = JSON.stringify(now) == JSON.stringify(before);
    if (same && times == 10)
        tell('ended', now);
    else
        setTimeout(settle, 50, now, same ? times + 1 : 0);
}
window.addEventListener('error', event => tell(event.message, []));
const player = AsciinemaPlayer.create(
    'x.cast', document.getElementById('player'), {autoPlay: true, speed: 10, idleTimeLimit: 0.1});
player.addEventListener('ended', () => settle([], 0));
player.addEventListener('error', () => tell('error', []));
</script>"""


class Screen(pyte.Screen):
    def select_graphic_rendition(self, *attributes, private=False):
        """CSI ? m is a question of xterm's, which pyte 0.8 does not know."""
        if not private:
            super().select_graphic_rendition(*attributes)


@pytest.fixture
def reader(home):
    home.store = os.path.join(home.directory, "store")
    os.mkdir(home.store)
    home.must("settings", "storage", "acme", "--type", "directory", "--path", home.store)
    home.socket("web-1", "acme")
    return home


def shell_words(lab, command):
    return [program("castbucket-shell"), "--settings", lab.settings, "--plugin", lab.plugin,
            "--socket", "web-1", "-c", command]


def stored_cast(lab):
    """The path of the one recording there is, and its text."""
    done = lab.once()
    assert done.returncode == 0, done.stderr
    entries = lab.ls("acme")
    assert len(entries) == 1 and entries[0]["complete"]
    path = os.path.join(lab.store, entries[0]["key"])
    # As people do it, and not with Python's own reader.
    done = run(["zcat", path])
    assert done.returncode == 0 and done.stderr == b""
    return entries[0]["id"], path, done.stdout


# ---- a terminal's screen ----


class Live:
    """A program that is recorded under a terminal whose screen is looked at.

    looks: (bytes shown so far, what the screen then showed)."""

    def __init__(self, lab, command, columns=80, rows=24, **more):
        self.screen = Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.looks = []
        self.terminal = Terminal(shell_words(lab, command), columns=columns, rows=rows,
                                 echo_to=self.stream.feed, env=lab.environment_of_a_person(**more))

    def settle(self, text=None):
        """Until it has shown `text`, and then nothing for a while."""
        if text:
            wait_until(lambda: (self.terminal.read(0.05), text in "\n".join(self.screen.display))[1],
                       what=repr(text), every=0)
        while self.terminal.read(0.4):
            pass

    def look(self, text=None):
        self.settle(text)
        self.looks.append((len(self.terminal.seen), picture(self.screen)))

    def resize(self, columns, rows):
        self.settle()
        self.screen.resize(rows, columns)
        self.terminal.resize(columns, rows)


def picture(screen):
    """Characters, colours and attributes, and the cursor."""
    cells = [[screen.buffer[row][column] for column in range(screen.columns)]
             for row in range(screen.lines)]
    return (screen.display[:], cells, (screen.cursor.x, screen.cursor.y, screen.cursor.hidden))


def replayed_looks(cast, looks):
    """Feeds a cast to a screen of its own; what it shows where the live one was looked at."""
    lines = cast.decode().splitlines()
    header = json.loads(lines[0])
    screen = Screen(header["width"], header["height"])
    stream = pyte.Stream(screen)
    wanted = [count for count, _ in looks]
    shown, found = 0, []
    for line in lines[1:]:
        _, code, data = json.loads(line)
        if code == "r":
            columns, rows = data.split("x")
            screen.resize(int(rows), int(columns))
        if code != "o":
            continue
        data = data.encode()
        while wanted and shown + len(data) >= wanted[0]:
            part, data = data[:wanted[0] - shown], data[wanted[0] - shown:]
            stream.feed(part.decode())
            shown += len(part)
            found.append(picture(screen))
            wanted.pop(0)
        stream.feed(data.decode())
        shown += len(data)
    return found


def expect_same(lab, live):
    """The cast shows what the live terminal showed, wherever it was looked at; and so does
    `castbucket play`, where it was looked at last."""
    identifier, _, cast = stored_cast(lab)
    assert lab.castbucket("get", identifier, "--org", "acme", "--raw").raw == live.terminal.seen
    found = replayed_looks(cast, live.looks)
    assert len(found) == len(live.looks) > 0
    for (_, wanted), shown in zip(live.looks, found):
        assert shown[0] == wanted[0]
        assert shown[2] == wanted[2]
        assert shown[1] == wanted[1]
    return identifier


@pytest.fixture
def person(reader):
    """The installation, and an environment without the tester's own settings of vim and less."""
    def environment_of_a_person(**more):
        return {**reader.environment(), "TERM": "xterm-256color", **more}
    reader.environment_of_a_person = environment_of_a_person
    return reader


def test_vim_looks_the_same_replayed(person):
    path = os.path.join(person.directory, "file.c")
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join("int n%d = %d; /* na\u00efve \u2192 \u65e5\u672c */\n" % (n, n)
                           for n in range(200)))
    live = Live(person, "vim -u NONE -N +'syntax on' %s" % path)
    live.look("n10")
    live.terminal.send("50Gzz")
    live.look("n49")
    live.terminal.send("oadded line \u20ac\x1b:vsplit\r")
    live.look("added line")
    live.terminal.send(":set number\rgg")
    live.look("1 int n0")
    live.terminal.send(":qa!\r")
    assert live.terminal.finish() == 0
    expect_same(person, live)


def test_less_looks_the_same_replayed(person):
    path = os.path.join(person.directory, "text")
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join("\x1b[3%dmline %d\x1b[m of the text \u00e9\n" % (n % 8, n)
                           for n in range(500)))
    live = Live(person, "less -R %s" % path, LESS="")
    live.look("line 10")
    live.terminal.send("/line 300\n")
    live.look("line 310")
    live.terminal.send("Gbb")
    live.look("line 440")
    live.terminal.send("q")
    assert live.terminal.finish() == 0
    expect_same(person, live)


def test_top_looks_the_same_replayed(person):
    live = Live(person, "top -d 0.5")
    live.look("load average")
    live.terminal.send("1")
    live.terminal.send("M")
    live.terminal.read(1.2)
    live.look("load average")
    live.terminal.send("q")
    assert live.terminal.finish() == 0
    expect_same(person, live)


def test_a_resized_tmux_looks_the_same_replayed(person):
    path = os.path.join(person.directory, "tmux")
    # Its server outlives its clients: told to end with the last one.
    live = Live(person, "exec tmux -S %s -f /dev/null new-session -x 80 -y 24 'PS1=\"$ \" exec sh' "
                "\\; set -g destroy-unattached on" % path, columns=80, rows=24)
    try:
        live.look("$ ")
        live.terminal.send("stty size\n")
        live.look("23 80")
        live.terminal.send("\x02%")
        live.settle("\u2502")
        live.resize(120, 35)
        live.look()
        live.terminal.send("seq 1 50; stty size\n")
        live.look("34 ")
        live.resize(70, 20)
        live.terminal.send("echo smal''ler\n")
        live.look("smaller")
        live.terminal.send("\x02&")
        live.settle("(y/n)")
        live.terminal.send("y")
        assert live.terminal.finish() == 0
    finally:
        run(["tmux", "-S", path, "kill-server"])
    expect_same(person, live)
    _, _, cast = stored_cast(person)
    assert [event[2] for event in map(json.loads, cast.splitlines()[1:])
            if event[1] == "r"] == ["120x35", "70x20"]


@pytest.mark.parametrize("command, wanted", [
    ("vim -u NONE -N +'syntax on' %s", "line 5"), ("less -R %s", "line 5")])
def test_play_shows_what_was_shown(person, command, wanted):
    """Through the filter of `castbucket play`, on a terminal that is looked at when the recording
    ends: the program is killed while it shows something."""
    path = os.path.join(person.directory, "text")
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join("line %d \u00e9\u65e5\n" % n for n in range(100)))
    live = Live(person, command % path + "; true")
    live.look(wanted)
    live.terminal.process.kill()
    live.terminal.finish()
    identifier, _, cast = stored_cast(person)
    count = sum(len(json.loads(line)[2].encode()) for line in cast.splitlines()[1:]
                if json.loads(line)[1] == "o")
    assert count >= live.looks[-1][0]
    screen = Screen(80, 24)
    stream = pyte.ByteStream(screen)
    player = Terminal([program("castbucket"), "play", identifier, "--org", "acme", "--speed",
                       "max"], env=person.environment())
    assert player.finish() == 0
    before_reset = player.seen.split(b"\x1b\\\x1b[?1049l")[0]
    assert before_reset != player.seen
    stream.feed(before_reset)
    assert screen.display == live.looks[-1][1][0]


# ---- asciicast, asciinema, asciinema-player ----

# What is awkward: bytes that are no UTF-8, a character over two writes, controls, quotes, colours,
# astral and combining characters, and a line separator that JavaScript once minded.
AWKWARD = (r"printf 'plain \"quoted\" back\\slash\n'; printf '\033[1;31mred\033[0m\n'; "
           r"printf 'split \342'; sleep 0.1; printf '\202'; sleep 0.1; printf '\254 whole\n'; "
           r"printf 'wrong \377\376 \303( \360\237 end\n'; "
           r"printf 'astral \360\237\230\200 combined e\314\201 separator \342\200\250|\n'; "
           r"printf '\000\001\177done\n'; printf 'cut \342\202'; exit 3")
SHOWN = ["plain \"quoted\" back\\slash", "red", "split \u20ac whole",
         "wrong \ufffd\ufffd \ufffd( \ufffd end", "done", "cut \ufffd"]


def record_awkward(lab, at_terminal):
    if at_terminal:
        screen = Terminal(shell_words(lab, AWKWARD), columns=80, rows=24, env=lab.environment())
        assert screen.finish() == 3
        return screen.seen
    done = lab.record("web-1", AWKWARD)
    assert done.returncode == 3
    return done.stdout


def expect_valid_asciicast(text, version):
    """https://docs.asciinema.org/manual/asciicast/v2/ and .../v3/, as far as recordings use them."""
    assert text.endswith(b"\n")
    lines = [json.loads(line) for line in text.decode("utf-8", errors="strict").split("\n")[:-1]]
    header = lines[0]
    assert header["version"] == version
    size = header if version == 2 else header["term"]
    names = ("width", "height") if version == 2 else ("cols", "rows")
    for name in names:
        assert isinstance(size[name], int) and size[name] > 0
    assert isinstance(header["timestamp"], int)
    before = 0
    for event in lines[1:]:
        assert isinstance(event, list) and len(event) == 3
        time, code, data = event
        assert isinstance(time, (int, float)) and not isinstance(time, bool)
        assert time >= (before if version == 2 else 0)
        before = time
        assert isinstance(code, str) and len(code) == 1 and isinstance(data, str)
        if code == "r":
            assert re.fullmatch(r"[1-9][0-9]*x[1-9][0-9]*", data)
        if code == "x":
            assert re.fullmatch(r"[0-9]+", data)
    assert lines[-1][1:] == ["x", "3"]
    return "".join(event[2] for event in lines[1:] if event[1] == "o")


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("at_terminal", [True, False], ids=["terminal", "pipes"])
def test_the_cast_is_valid_and_loses_nothing(reader, at_terminal, version):
    reader.must("settings", "cast-version", str(version))
    seen = record_awkward(reader, at_terminal)
    identifier, path, text = stored_cast(reader)
    shown = expect_valid_asciicast(text, version)
    raw = reader.castbucket("get", identifier, "--org", "acme", "--raw").raw
    assert raw == seen
    decoded = seen.decode(errors="replace")
    assert shown == (decoded if at_terminal else decoded.replace("\n", "\r\n"))
    with open(path, "rb") as file:
        assert gzip.decompress(file.read()) == text


@pytest.mark.parametrize("at_terminal", [True, False], ids=["terminal", "pipes"])
def test_it_plays_in_asciinema(reader, at_terminal):
    seen = record_awkward(reader, at_terminal)
    _, _, text = stored_cast(reader)
    path = os.path.join(reader.directory, "x.cast")
    with open(path, "wb") as file:
        file.write(text)
    env = environment(HOME=reader.directory, TERM="xterm-256color")
    decoded = seen.decode(errors="replace")
    if not at_terminal:
        decoded = decoded.replace("\n", "\r\n")
    # It writes text without a newline's translation to a pipe, and wants a terminal to read from.
    screen = Terminal(["sh", "-c", "asciinema cat %s > %s.out" % (path, path)], env=env)
    assert screen.finish() == 0, screen.seen
    with open(path + ".out", "rb") as file:
        assert file.read().decode() == decoded
    screen = Terminal(["asciinema", "play", "-i", "0.01", "-s", "1000", path], env=env)
    assert screen.finish() == 0, screen.seen
    for words in SHOWN:
        assert words.encode() in screen.seen


@pytest.fixture(scope="session")
def player_files(tmp_path_factory):
    modules = install(str(tmp_path_factory.mktemp("player")))
    bundle = os.path.join(modules, "asciinema-player", "dist", "bundle")
    return [os.path.join(bundle, name)
            for name in ("asciinema-player.min.js", "asciinema-player.css")]


class Page(http.server.SimpleHTTPRequestHandler):
    """Files, and what the page tells."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.append(json.loads(body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def web(tmp_path, player_files):
    """Plays a cast in asciinema-player in Chromium; gives the lines that it shows at the end."""
    folder = tmp_path / "web"
    folder.mkdir()
    for path in player_files:
        shutil.copy(path, folder)
    (folder / "index.html").write_text(PAGE, encoding="utf-8")
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Page, directory=str(folder)))
    server.told = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    browsers = []

    def play(cast):
        (folder / "x.cast").write_bytes(cast)
        browsers.append(Daemon(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
             "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--no-proxy-server", "--user-data-dir=%s" % (tmp_path / "profile"),
             "--remote-debugging-port=0", "http://127.0.0.1:%d/index.html" % server.server_port],
            str(tmp_path / "chromium.log"), env=environment(HOME=str(tmp_path))))
        wait_until(lambda: server.told or browsers[-1].process.poll() is not None, seconds=120,
                   what="the end of the cast")
        assert server.told and server.told[0]["what"] == "ended", (server.told,
                                                                   browsers[-1].words()[-2000:])
        return [line.rstrip() for line in server.told[0]["lines"]]

    yield play
    for browser in browsers:
        browser.stop()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("at_terminal", [True, False], ids=["terminal", "pipes"])
def test_it_plays_to_its_end_in_a_browser(reader, web, at_terminal, version):
    reader.must("settings", "cast-version", str(version))
    record_awkward(reader, at_terminal)
    _, _, text = stored_cast(reader)
    lines = web(text)
    assert len(lines) == 24
    assert [line for line in lines if line in SHOWN] == SHOWN, lines
