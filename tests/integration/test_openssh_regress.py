"""OpenSSH's own tests (Debian: openssh-tests) through castbucket-proxy: what becomes of each is in
tests/lab/openssh_tests.py. The slow ones are in tests/faults/test_openssh_regress.py."""

import os
import re

import pytest

from lab.openssh_run import echo_through_the_proxy, run_through_the_proxy
from lab.openssh_stage import names_of_makefile
from lab.openssh_tests import TESTS, VERSION, Ours, Script, scripts
from lab.process import run

HERE = os.path.dirname(os.path.abspath(__file__))


def test_each_of_openssh_s_tests_is_run_or_there_is_a_reason():
    if not run(["ssh", "-V"]).stderr.startswith(b"OpenSSH_" + VERSION.encode()):
        pytest.skip("the table is of OpenSSH " + VERSION)
    assert sorted(TESTS) == sorted(names_of_makefile())
    for name, what in TESTS.items():
        if isinstance(what, Script):
            continue
        assert what.why, name
        for test in what.tests if isinstance(what, Ours) else ():
            file, function = test.split("::")
            with open(os.path.join(HERE, file), encoding="utf-8") as source:
                assert re.search(r"^def %s\(" % function, source.read(), re.MULTILINE), test


@pytest.mark.parametrize("name", scripts(quick=True))
def test_what_openssh_tests_works_through_the_proxy(home, name):
    run_through_the_proxy(home, name, seconds=120)


def test_32_mib_come_back_and_are_recorded_while_keys_change(home):
    echo_through_the_proxy(home, 32, "-o", "RekeyLimit=1M")


def test_a_slow_link_loses_nothing(home, wire):
    home.must("settings", "storage", "acme", "--type", "directory", "--path",
              os.path.join(home.directory, "store"))
    home.socket("web-1", "acme")
    alice = home.person()
    proxy = home.proxy({"web-1": home.target()}, [alice])
    slow = wire("tcp://127.0.0.1:%d" % proxy.port, bytes_per_second=65536, both_ways=True,
                latency=0.05)
    sent = os.urandom(49152).hex().encode()
    done = alice.ssh("-o", "Port=" + slow.url.rsplit(":", 1)[1], "-o", "HostKeyAlias=[127.0.0.1]:%d"
                     % proxy.port, "-o", "RekeyLimit=16k", "web-1", "cat; echo end >&2; exit 9",
                     input=sent)
    assert (done.returncode, done.stdout, done.stderr) == (9, sent, b"end\n")
    assert proxy.stop() == 0
    assert home.once().returncode == 0
    (entry,) = home.ls("acme")
    assert entry["exit_status"] == 9
    raw = ["get", entry["id"], "--org", "acme", "--raw", "--stream", "stdout"]
    assert home.castbucket(*raw).raw == sent
