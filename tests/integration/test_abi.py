"""The plugin interface between builds of different days, and against those who break its rules.

tests/abi/VERSION/ has the header as it was at each released minor: what is built with it here is what
somebody built then. The sources are the example host and the probe, which know nothing else of us."""

import glob
import json
import os
import subprocess
import sys

import pytest

from lab.process import TOP, build_directory, environment, program, run
from proxy_fixtures import Recorded

ABI = os.path.join(TOP, "tests", "abi")
sys.path.insert(0, ABI)
from layout import layout  # noqa: E402

OLD = sorted(os.path.basename(path) for path in glob.glob(os.path.join(ABI, "[0-9]*")))
PROBE = os.path.join(TOP, "tests", "integration", "plugin_probe.c")
EXAMPLE = os.path.join(TOP, "pkg", "examples", "host.c")
HOSTS = ["castbucket-shell", "example"]


def headers(version):
    return TOP if version == "new" else os.path.join(ABI, version)


def build(directory, source, version, *flags):
    """Compiles with the header of a version; returns the path of what came out."""
    shared = source != EXAMPLE
    path = os.path.join(str(directory), os.path.basename(source)[:-2] + (".so" if shared else ""))
    subprocess.run([os.environ.get("CC", "gcc"), "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra",
                    "-Werror", "-I" + headers(version), "-I" + headers(version) + "/plugin",
                    *(["-shared", "-fPIC"] if shared else []), *flags, "-o", path, source],
                   check=True)
    return path


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    return build(tmp_path_factory.mktemp("host"), EXAMPLE, "new")


def words_of(host, example, plugin, settings, command):
    if host == "example":
        return [example, plugin, settings, "web-1", command]
    return [program("castbucket-shell"), "--plugin", plugin, "--settings", settings, "--socket",
            "web-1", "--shell", "/bin/sh", "--log-stderr", "-c", command]


def probe_settings(directory):
    path = os.path.join(str(directory), "probe.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write("directory %s\n" % directory)
    return path


@pytest.mark.parametrize("version", OLD)
def test_the_interface_has_only_grown(tmp_path, version):
    """A member that moved or changed its size, or a constant with another value, needs a new major."""
    old = layout(os.path.join(ABI, version, "plugin", "recording_plugin.h"), str(tmp_path))
    new = layout(os.path.join(TOP, "plugin", "recording_plugin.h"), str(tmp_path))
    assert len(old) > 60
    assert {name: new.get(name) for name in old} == old


def test_the_header_of_each_minor_is_kept(tmp_path):
    """Who raises the minor keeps the header as it was before: then the tests here go on about it."""
    source = os.path.join(TOP, "plugin", "recording_plugin.h")
    with open(source, encoding="utf-8") as file:
        text = file.read()
    minor = int(text.split("#define RECORDING_PLUGIN_MINOR ")[1].split()[0])
    assert [name for name in OLD if name.startswith("1.")][:minor] == \
        ["1.%d" % number for number in range(minor)]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("version", OLD)
def test_a_plugin_built_then_works_in_a_host_of_today(tmp_path, example, host, version):
    plugin = build(tmp_path, PROBE, version)
    done = run(words_of(host, example, plugin, probe_settings(tmp_path),
                        "echo out; echo err >&2; exit 7"), env=environment())
    assert (done.returncode, done.stdout) == (7, b"out\n")
    (info,) = glob.glob(str(tmp_path / "*.info"))
    recorded = Recorded(info[:-len(".info")])
    assert (recorded.bytes("stdout"), recorded.bytes("stderr")) == (b"out\n", b"err\n")
    assert recorded.end == "exited 7"
    assert recorded.info["socket"] == "web-1" and recorded.info["kind"] == "2"


@pytest.mark.skipif("build-" in build_directory(),
                    reason="a plugin with a sanitizer wants a host with it")
@pytest.mark.parametrize("version", [*OLD, "new"])
def test_a_host_built_then_has_its_sessions_recorded_by_castbucket_of_today(home, version):
    store = os.path.join(home.directory, "store")
    with open(home.settings, encoding="utf-8") as file:
        settings = json.load(file)
    settings["organizations"] = {"acme": {"storage": {"type": "directory", "path": store}}}
    settings["sockets"] = {"web-1": {"organization": "acme", "recording": True}}
    with open(home.settings, "w", encoding="utf-8") as file:
        json.dump(settings, file)
    host = build(home.directory, EXAMPLE, version)
    done = run([host, home.plugin, home.settings, "web-1", "echo out; exit 3"], env=environment())
    assert (done.returncode, done.stdout) == (3, b"out\n"), done.stderr
    assert home.once().returncode == 0
    entry = json.loads(home.must("ls", "--org", "acme", "--json"))
    assert home.castbucket("get", entry["id"], "--org", "acme", "--raw").raw == b"out\n"


# What a host does with a plugin that is not one, or breaks one rule: (exit status of castbucket-shell,
# of the example; words that one of them says). Nothing that is not recorded is shown.
REFUSED_TO_LOAD = ["no_table", "size_of_nothing", "other_major", "short_table",
                   "error_without_end", "error_of_many_lines", "silent_failure"]
REFUSED_SESSION = ["no_answer", "unknown_decision", "no_session", "reason_without_end",
                   "reason_that_paints"]
ENDED_SESSION = ["unknown_verdict", "negative_verdict"]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("how, status", [
    *[(how, 125) for how in REFUSED_TO_LOAD],
    *[(how, 126) for how in REFUSED_SESSION],
    *[(how, 124) for how in ENDED_SESSION],
])
def test_with_a_plugin_that_breaks_a_rule_nothing_is_shown(tmp_path, example, host, how, status):
    plugin = build(tmp_path, os.path.join(ABI, "bad_plugin.c"), "new", "-DBAD_" + how)
    done = run(words_of(host, example, plugin, "/dev/null", "echo shown"), env=environment())
    assert (done.returncode, done.stdout) == (status, b"")
    if host != "example":  # which trusts its plugin's words
        assert 40 < len(done.stderr) < 3000
        assert done.stderr.count(b"\n") == 1 and b"\x1b" not in done.stderr


def test_a_function_that_is_missing_is_found_before_it_is_called(tmp_path):
    plugin = build(tmp_path, os.path.join(ABI, "bad_plugin.c"), "new", "-DBAD_no_output")
    done = run(words_of("castbucket-shell", None, plugin, "/dev/null", "echo shown"),
               env=environment())
    assert (done.returncode, done.stdout) == (125, b"")
    assert b"a function is missing from its table" in done.stderr


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("how", ["GOOD_newer_minor", "BAD_session_though_ignored"])
def test_what_a_host_can_live_with_it_lives_with(tmp_path, example, host, how):
    plugin = build(tmp_path, os.path.join(ABI, "bad_plugin.c"), "new", "-D" + how)
    done = run(words_of(host, example, plugin, "/dev/null", "echo shown; exit 5"),
               env=environment())
    assert (done.returncode, done.stdout) == (5, b"shown\n")
