"""castbucket-proxy's log: as text and as JSON, on a file and in the journal."""

import json
import os
import re

import pytest

from lab.ssh import Proxy
from proxy_fixtures import Stage, build_probe

TEXT = r"castbucket-proxy\[\d+\]: (info|warning|error): .+"


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    return build_probe(tmp_path_factory.mktemp("probe"))


@pytest.fixture
def stage(tmp_path, probe):
    made = Stage(tmp_path, probe)
    yield made
    made.close()


def test_json_is_an_object_a_line_whatever_anybody_sends(stage):
    stage.start(more='log_format = "json"',
                people={"alice": 'command="echo in" ' + stage.alice.public})
    assert stage.ssh("-l", "a\\b:web-1", "web-1", "id").returncode == 255
    hostile = 'a"b\\c\x1b[2J\u00e4\n{"level":"info"}'
    assert stage.ssh("web-1", hostile).stdout == b"in\n"
    stage.proxy.stop()
    lines = [json.loads(line) for line in stage.log().splitlines()]
    for line in lines:
        assert set(line) - {"connection"} == {"time", "level", "pid", "message"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["time"])
        assert line["level"] in ("info", "warning", "error")
        assert line["message"].isascii() and line["message"].isprintable()
    of_alice = [line for line in lines if line["message"].startswith("alice logged in")]
    assert [line["connection"] for line in of_alice] == [stage.session().info["connection_id"]]
    assert of_alice[0]["pid"] == int(stage.session().info["pid"])
    assert any("connection" not in line and "listening on" in line["message"] for line in lines)
    words = "\n".join(line["message"] for line in lines)
    assert r'as "a\b:web-1" failed' in words
    assert r'command: a"b\c\x1b[2J\xc3\xa4\x0a{"level":"info"}' in words


@pytest.mark.parametrize("form,line", [("text", TEXT), ("json", r'\{"time":.*"level":"\1".*\}')])
def test_lines_in_the_journal_begin_with_their_priority(stage, form, line):
    folder = os.path.join(stage.directory, "proxy")
    os.makedirs(folder)
    with open(os.path.join(folder, "proxy.log"), "wb") as file:
        st = os.fstat(file.fileno())
    proxy = stage.proxy = stage.add(Proxy(
        folder, stage.settings(), {"web-1": stage.target}, {"alice": stage.alice.public},
        plugin=stage.probe, more='log_format = "%s"' % form,
        env={"JOURNAL_STREAM": "%d:%d" % (st.st_dev, st.st_ino)}))
    stage.alice.meet(proxy, ["web-1"])
    assert stage.ssh("-l", "nobody:web-1", "web-1", "id").returncode == 255
    proxy.stop()
    priorities = {"error": "3", "warning": "4", "info": "6"}
    seen = set()
    for one in stage.log().splitlines():
        level = re.search(r'\]: (\w+): |"level":"(\w+)"', one)
        level = level.group(1) or level.group(2)
        seen.add(level)
        assert re.fullmatch("<%s>%s" % (priorities[level], line.replace(r"\1", level)), one), one
    assert seen >= {"info", "warning"}


@pytest.mark.parametrize("stream", ["1:1", "", "nonsense", "18446744073709551616:1"])
def test_a_log_that_is_not_the_journal_has_no_priorities(stage, stream):
    proxy = stage.add(Proxy(os.path.join(stage.directory, "proxy"), stage.settings(),
                            {"web-1": stage.target}, {}, plugin=stage.probe,
                            env={"JOURNAL_STREAM": stream}))
    proxy.stop()
    lines = proxy.daemon.words().splitlines()
    assert lines
    for line in lines:
        assert re.fullmatch(TEXT, line), line
