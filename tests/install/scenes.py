"""What is tried, in this order. Each function's doc is the statement that it proves."""

import gzip
import json
import os
import re
import shutil

import openssh
from bastion import ORGANIZATION, PEOPLE, SOCKETS
from lab.process import Terminal, environment, wait_until
from lab.ssh import free_port
from tree import owner

SPOOL = "/var/spool/castbucket"
# What Debian keeps of packages that are gone, and of accounts.
LEFT_BY_DEBIAN = re.compile(
    r"^(var/lib/(dpkg|apt|systemd|pam)|var/cache|var/log|var/mail|tmp|run|dev|proc|srv|home|"
    r"etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|etc/\.pwd\.lock|etc/ssh|etc/sudoers\.d|"
    r"etc/systemd/system$|etc/sudo\.conf|etc/ld\.so\.cache|root)")


def install(site):
    """The packages are installed by apt, in one step and without a question."""
    site.tree.apt("install", "--no-install-recommends", "apparmor")  # its parser is tried below
    site.before = site.files()
    site.accounts()
    shutil.copytree(os.path.join(site.directory, "first"), site.tree.path("/srv/first"))
    names = sorted("/srv/first/" + name for name in os.listdir(site.tree.path("/srv/first")))
    site.tree.apt("install", "--no-install-recommends", *names)
    assert site.tree.must("castbucket", "--version").startswith("castbucket ")
    assert site.tree.must("castbucket-proxy", "--version").startswith("castbucket-proxy ")
    assert site.tree.must("castbucket-shell", "--version").startswith("castbucket-shell ")
    assert site.tree.must("dpkg", "--audit") == ""


def directories(site):
    """The spool is the service account's alone, and the settings directory nobody's but root's."""
    uid, gid, _ = site.tree.account("castbucket")
    assert owner(site.tree.path(SPOOL)) == (uid, gid, 0o700)
    assert owner(site.tree.path("/etc/castbucket")) == (0, gid, 0o2755)
    assert site.tree.must("getent", "passwd", "castbucket").strip().endswith("/usr/sbin/nologin")
    for name in PEOPLE:
        assert site.tree.run("ls", SPOOL, user=name).returncode != 0


def manual(site):
    """Each program's page, and those of files and interfaces, are found by man."""
    for page in ("castbucket", "castbucket-shell", "castbucket-proxy", "castbucket_io",
                 "castbucket-settings", "castbucket-shell.conf", "castbucket-cast", "castbucket-proxy.conf",
                 "recording_plugin"):
        shown = site.tree.must("man", page, env={"MANPAGER": "cat", "MANWIDTH": "100"})
        assert "SEE ALSO" in shown and page.split(".")[0] in shown, page


def storage(site, endpoint):
    """Says where the organization's bucket is."""
    made = site.organization
    site.castbucket("settings", "storage", ORGANIZATION, "--type", "aws-s3", "--bucket",
                    made.bucket, "--role-arn", made.role_arn, "--external-id", made.external_id,
                    "--endpoint", endpoint, "--sts-endpoint", endpoint, "--region", "us-east-1")


def settings(site):
    """The operator's four commands set an organization up, and its bucket passes every check."""
    site.organization = site.gateway.organization(ORGANIZATION, external_id="x-7/f@acme")
    storage(site, site.gateway.endpoint)
    for name in SOCKETS:
        site.castbucket("settings", "socket", name, "--organization", ORGANIZATION, "--recording",
                        "on")
    _, gid, _ = site.tree.account("castbucket")
    assert owner(site.tree.path("/etc/castbucket/settings.json")) == (0, gid, 0o640)
    site.castbucket("check", "--org", ORGANIZATION)


def recorder(site):
    """The recorder runs by its unit's command line, account and environment."""
    site.tree.write("/etc/castbucket/environment", "".join(
        "%s=%s\n" % pair for pair in site.environment().items()), 0o600)
    unit = site.unit("castbucket.service")
    unit.start()
    wait_until(lambda: os.path.exists(site.tree.path(SPOOL + "/recorder.lock")),
               what="the recorder's lock")
    assert unit.process.poll() is None, unit.words()
    uid, _, _ = site.tree.account("castbucket")
    assert os.stat("/proc/%d" % unit.process.pid).st_uid == uid


def sudo(site):
    """By the packaged lines of sudo.conf, what dave runs by sudo is recorded, and dave's sudo only
    runs what is recorded."""
    example = site.tree.read("/usr/share/doc/castbucket/examples/sudo.conf")
    site.tree.write("/etc/sudo.conf", example.replace("socket=web-1", "socket=sudo"))
    site.start_sshd()
    done = site.ssh("dave", "sudo sh -c 'id -un; printf \"\\303\\251\\377\\n\"; exit 7'")
    assert (done.stdout, done.returncode) == (b"root\n\xc3\xa9\xff\n", 7), done.stderr
    site.expect("sudo", "dave", done.stdout)
    site.check_expected()
    (entry,) = [one for one in site.recordings() if one["socket"] == "sudo"]
    assert entry["exit_status"] == 7, entry
    site.castbucket("settings", "socket", "sudo", "--organization", ORGANIZATION, "--recording",
                    "on", "--on-failure", "refuse")
    os.rename(site.tree.path(SPOOL), site.tree.path(SPOOL + ".away"))
    try:
        site.tree.write(SPOOL, "no directory\n")
        refused = site.ssh("dave", "sudo echo ran")
        assert refused.returncode != 0 and b"ran" not in refused.stdout, refused
    finally:
        os.unlink(site.tree.path(SPOOL))
        os.rename(site.tree.path(SPOOL + ".away"), site.tree.path(SPOOL))


def proxy(site):
    """castbucket-proxy, by its unit and the packaged example configuration, records a command and a
    terminal session to the byte."""
    tree, folder = site.tree, "/etc/castbucket"
    for name in ("host_ed25519", "web-1_ed25519", "jump_ed25519"):
        tree.must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "%s/%s" % (folder, name))
        tree.must("chown", "root:castbucket", "%s/%s" % (folder, name))
        os.chmod(tree.path("%s/%s" % (folder, name)), 0o640)
    tree.write("/home/deploy/.ssh/authorized_keys", tree.read(folder + "/web-1_ed25519.pub"),
               owner="deploy:")
    with open(site.key + ".pub", encoding="utf-8") as file:
        tree.write(folder + "/authorized_keys.d/carol", file.read())
    tree.write(folder + "/known_hosts", "[127.0.0.1]:%d %s" % (
        site.ports["sshd"], tree.read("/etc/ssh/ssh_host_ed25519_key.pub")))
    port = site.ports["proxy"] = free_port()
    example = tree.read("/usr/share/doc/castbucket-proxy/examples/castbucket-proxy.conf")
    tree.write(folder + "/proxy.conf", example.replace("[::]:2222", "127.0.0.1:%d" % port)
               .replace("web-1.internal:22", "127.0.0.1:%d" % site.ports["sshd"]))
    with open(site.known_hosts, "a", encoding="utf-8") as file:
        file.write("[127.0.0.1]:%d %s" % (port, tree.read(folder + "/host_ed25519.pub")))
    site.unit("castbucket-proxy.service").start()
    wait_until(lambda: "listening" in site.unit("castbucket-proxy.service").words(),
               what="the proxy")
    done = site.ssh("carol:web-1", "id -un; head -c 300000 /dev/zero | tr '\\0' x; exit 9",
                    port="proxy")
    assert (done.stdout, done.returncode) == (b"deploy\n" + b"x" * 300000, 9), done.stderr
    site.expect("web-1", "carol", done.stdout)
    screen = site.terminal("carol:web-1", port="proxy")
    screen.expect_prompt()
    screen.send("echo $((6*7)); exit 4\r")
    assert screen.finish() == 4 and b"42" in screen.seen, screen.seen
    site.expect("web-1", "carol", screen.seen)
    site.check_expected()


def own_host(site):
    """The example of a host, built with the installed header, has the installed plugin record what
    it runs."""
    shutil.copy(os.path.join(site.directory, "host"), site.tree.path("/srv/host"))
    shown = site.tree.must(
        "/srv/host", "/usr/lib/castbucket/castbucket.so", "/etc/castbucket/settings.json", "web-1",
        "echo own host")
    assert shown == "own host\n"
    site.expect("web-1", "root", shown.encode())
    site.check_expected()


def replay(site):
    """A recording from the bucket is played by castbucket in the tree, and by zcat and asciinema
    outside; its manifest agrees."""
    entry = [one for one in site.recordings() if one["kind"] == "shell"][-1]
    wanted = site.raw(entry)
    copy = "/srv/session.cast.gz"
    site.castbucket("get", entry["id"], "--org", ORGANIZATION, "-o", copy)
    plain = os.path.join(site.directory, "session.cast")
    with gzip.open(site.tree.path(copy)) as source, open(plain, "wb") as to:
        shutil.copyfileobj(source, to)
    with open(plain, encoding="utf-8") as file:
        assert json.loads(file.readline())["version"] == 2
    player = Terminal(["chroot", site.tree.directory, "castbucket", "play", entry["id"], "--org",
                       ORGANIZATION, "--speed", "max"],
                      env={**environment(), **site.environment(), "HOME": "/root"})
    assert player.finish() == 0 and b"42" in player.seen, player.seen
    # asciinema wants a terminal, even to print: the terminal of a shell of ours.
    copied = plain + ".out"
    screen = Terminal(["sh", "-c", 'asciinema cat "$1" >"$2"', "sh", plain, copied],
                      env=environment(HOME=site.directory))
    assert screen.finish() == 0, screen.seen
    with open(copied, "rb") as file:
        assert file.read() == wanted


def upgrade(site):
    """A newer package is installed while sessions go on by the proxy and recordings wait for a
    bucket that is away; the sessions' recordings have what came before and after, and none of those
    that waited is lost."""
    shutil.copytree(os.path.join(site.directory, "next"), site.tree.path("/srv/next"))
    names = sorted("/srv/next/" + name for name in os.listdir(site.tree.path("/srv/next")))
    screens = {("web-1", "carol"): site.terminal("carol:web-1", port="proxy"),
               ("jump", "alice"): site.terminal("alice")}
    for screen in screens.values():
        screen.expect_prompt()
        screen.send("echo before=$((40+2))\r")
        screen.expect("before=42")
    storage(site, "http://127.0.0.1:%d" % free_port())
    for number in range(10):
        done = site.ssh("alice", "echo waits-%d" % number)
        assert done.stdout == b"waits-%d\n" % number, done.stderr
        site.expect("jump", "alice", done.stdout)
    done = site.ssh("dave", "sudo echo waits")
    assert done.stdout == b"waits\n", done.stderr
    site.expect("sudo", "dave", done.stdout)
    waiting = site.spooled_ids()
    assert len(waiting) == 11 + len(screens), waiting
    site.tree.apt("install", "--no-install-recommends", *names)
    assert "+next" in site.tree.must("castbucket", "--version")
    # What the maintainer scripts ask of systemd, which does not run here.
    site.unit("castbucket.service").stop()
    site.fresh_unit("castbucket.service").start()
    if "ExecReload" in site.unit("castbucket-proxy.service").lines:
        site.unit("castbucket-proxy.service").reload()
    for (socket, user), screen in screens.items():
        screen.send("echo after=$((40+3)); exit 5\r")
        assert screen.finish() == 5 and b"after=43" in screen.seen, (user, screen.seen)
        site.expect(socket, user, screen.seen)
    for socket, user, port, name in (("web-1", "carol", "proxy", "carol:web-1"),
                                     ("jump", "alice", "sshd", "alice")):
        done = site.ssh(name, "echo new", port=port)
        assert done.stdout == b"new\n", done.stderr
        site.expect(socket, user, done.stdout)
    uid, gid, _ = site.tree.account("castbucket")
    assert owner(site.tree.path(openssh.PROGRAM)) == (uid, gid, 0o6755)
    assert waiting < site.spooled_ids()
    storage(site, site.gateway.endpoint)
    site.check_expected()


def removal(site):
    """While /etc/sudo.conf names the plugin, without which sudo would run nothing, the package
    cannot be removed, and says so."""
    site.unit("castbucket-proxy.service").stop()
    site.unit("castbucket.service").stop()
    refused = site.tree.run("apt-get", "-y", "remove", "castbucket")
    assert refused.returncode != 0 and "/etc/sudo.conf" in refused.stdout + refused.stderr
    assert site.tree.must("sudo", "echo", "still").strip() == "still"
    site.expect("sudo", "root", b"still\n")
    os.unlink(site.tree.path("/etc/sudo.conf"))
    # apt leaves the package as it is, wanting to be removed: take that back.
    site.tree.must("sh", "-c", "echo castbucket install | dpkg --set-selections")


def purge_keeps(site):
    """Purging keeps a spool in which recordings wait, and says so; installed again, castbucket
    stores them."""
    waiting = site.spooled()
    assert waiting
    words = site.tree.apt("purge", "castbucket", "castbucket-proxy", "castbucket-dev")
    assert "%s is kept" % SPOOL in words, words[-2000:]
    assert site.spooled() == waiting
    names = sorted("/srv/next/" + name for name in os.listdir(site.tree.path("/srv/next")))
    site.tree.apt("install", "--no-install-recommends", *names)
    site.castbucket("recorder", "--once")
    assert site.spooled() == []
    site.check_expected()


def purge(site):
    """Purged with an empty spool, it leaves nothing behind but its account and the
    administrator's own files."""
    for name in ("proxy.conf", "known_hosts", "host_ed25519", "host_ed25519.pub", "web-1_ed25519",
                 "web-1_ed25519.pub", "jump_ed25519", "jump_ed25519.pub"):
        os.unlink(site.tree.path("/etc/castbucket/" + name))
    shutil.rmtree(site.tree.path("/etc/castbucket/authorized_keys.d"))
    site.tree.apt("purge", "castbucket", "castbucket-proxy", "castbucket-dev")
    site.tree.apt("autoremove", "--purge", "-o", "APT::AutoRemove::RecommendsImportant=false",
                  "-o", "APT::AutoRemove::SuggestsImportant=false")
    left = {name for name in site.files() - site.before if not LEFT_BY_DEBIAN.match(name)}
    assert not left, sorted(left)
    gone = {name for name in site.before - site.files() if not LEFT_BY_DEBIAN.match(name)}
    assert not gone, sorted(gone)


INSTALL = (install, directories, manual, settings, recorder)
USE = (sudo, openssh.openssh, proxy, own_host, replay, openssh.attacks, openssh.profile)
UPGRADE = (upgrade,)
PURGE = (removal, purge_keeps, purge)
