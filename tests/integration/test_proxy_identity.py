"""What people and castbucket-proxy log in with: certificates, and an agent in place of a file."""

import os
import subprocess

import pytest

from lab.process import Daemon, environment, wait_until
from lab.ssh import make_key, write
from proxy_fixtures import Stage, build_probe


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    return build_probe(tmp_path_factory.mktemp("probe"))


@pytest.fixture
def stage(tmp_path, probe):
    made = Stage(tmp_path, probe)
    yield made
    made.close()


# People's certificates.

def certify(stage, *options):
    """A certificate for alice's key, beside it. The authority's public key."""
    authority = os.path.join(stage.directory, "authority")
    public = make_key(authority)
    subprocess.run(["ssh-keygen", "-q", "-s", authority, "-I", "alice", "-n", "alice", *options,
                    stage.alice.identity + ".pub"], check=True, stderr=subprocess.DEVNULL)
    assert os.path.exists(stage.alice.identity + "-cert.pub")
    return public


@pytest.mark.parametrize("line", ["%s", "cert-authority %s", 'cert-authority,principals="alice" %s'])
def test_a_certificate_lets_nobody_in_whose_key_is_not_listed(stage, line):
    stage.start(people={"alice": line % certify(stage)})
    done = stage.ssh("web-1", "id")
    assert (done.returncode, done.stdout) == (255, b"") and b"Permission denied" in done.stderr
    assert stage.sessions() == []


def test_beside_a_certificate_the_plain_key_counts(stage):
    certify(stage)
    assert stage.start().ssh("web-1", "echo in").stdout == b"in\n"


# The proxy's own key.

@pytest.fixture
def agent(stage, tmp_path_factory):
    """ssh-agent with the key for the server, which is in no file any more."""
    path = os.path.join(str(tmp_path_factory.mktemp("a")), "agent")
    daemon = stage.add(Daemon(["ssh-agent", "-D", "-a", path], os.path.join(stage.directory, "agent.log"),
                              env=environment()))
    wait_until(lambda: os.path.exists(path), what="the agent")
    stage.start()
    assert stage.proxy.stop() == 0
    with open(stage.proxy.configuration, encoding="utf-8") as file:
        text = file.read()
    write(stage.proxy.configuration, text.replace(
        'identity = "%s"' % stage.target.identity, 'identity_agent = "%s"' % path))
    subprocess.run(["ssh-add", "-q", stage.target.identity], check=True,
                   env=environment(SSH_AUTH_SOCK=path), stderr=subprocess.DEVNULL)
    os.unlink(stage.target.identity)
    stage.proxy.start()
    stage.alice.meet(stage.proxy, {"web-1": stage.target})
    daemon.path = path
    return daemon


def test_the_proxy_logs_in_by_an_agents_key(stage, agent):
    done = stage.ssh("web-1", "echo in; echo [$SSH_AUTH_SOCK]")
    assert done.stdout == b"in\n[]\n", stage.log()  # and nobody else gets to the agent


def test_an_agent_without_the_key_or_that_is_gone_is_told(stage, agent):
    subprocess.run(["ssh-add", "-q", "-D"], check=True, env=environment(SSH_AUTH_SOCK=agent.path),
                   stderr=subprocess.DEVNULL)
    done = stage.ssh("web-1", "id")
    assert done.returncode == 255 and b"does not accept this proxy's keys" in done.stderr
    assert "accepts no key of identity_agent " + agent.path in stage.log()
    agent.stop()
    done = stage.ssh("web-1", "id")
    assert done.returncode == 255 and b"agent for web-1 does not answer" in done.stderr
    assert stage.sessions() == []
    # Which ends no other socket's use: the proxy starts all the same, and says so.
    stage.proxy.stop()
    stage.proxy.start()
    assert "warning" in stage.log() and "socket web-1: identity_agent: " + agent.path in stage.log()
