"""The slow ones of OpenSSH's own tests through castbucket-proxy: tests/lab/openssh_tests.py."""

import pytest

from lab.openssh_run import echo_through_the_proxy, run_through_the_proxy
from lab.openssh_tests import scripts


@pytest.mark.parametrize("name", scripts(quick=False))
def test_what_openssh_tests_works_through_the_proxy(home, name):
    run_through_the_proxy(home, name)


def test_256_mib_come_back_and_are_recorded_while_keys_change(home):
    echo_through_the_proxy(home, 256, "-o", "RekeyLimit=16M")
