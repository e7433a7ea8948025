"""OpenSSH's server with castbucket-shell, as castbucket-shell(1) says to set it up."""

import glob
import os
import re
import stat

from lab.attacks import ATTACKS, judge, script
from lab.process import wait_until
from tree import owner

PROGRAM = "/usr/bin/castbucket-shell"


def relays(site):
    """Processes of the tree's castbucket-shell that are the service account's."""
    uid, _, _ = site.tree.account("castbucket")
    found = []
    for entry in glob.glob("/proc/[0-9]*"):
        try:
            with open(entry + "/comm", encoding="utf-8") as file:
                if not file.read().startswith("castbucket-shel"):
                    continue
            # The directory's own owner is root, as the program cannot be dumped.
            with open(entry + "/status", encoding="utf-8") as file:
                if re.search(r"^Uid:\s+%d\s" % uid, file.read(), re.MULTILINE):
                    found.append(int(os.path.basename(entry)))
        except OSError:
            pass  # it ended
    return found


def openssh(site):
    """Two steps of castbucket-shell's page have OpenSSH's server record who is in a group: their
    commands and terminals to the byte, their files by name; and they can neither end nor read it."""
    tree = site.tree
    uid, gid, _ = tree.account("castbucket")
    path = tree.path(PROGRAM)
    assert owner(path) == (uid, gid, stat.S_ISUID | stat.S_ISGID | 0o755), owner(path)
    example = tree.read("/usr/share/doc/castbucket/examples/sshd_config.d/castbucket.conf")
    tree.write("/etc/ssh/sshd_config.d/castbucket.conf", example)
    tree.must("groupadd", "recorded")
    tree.must("usermod", "-a", "-G", "recorded", "-s", PROGRAM, "alice")
    site.run_sshd()

    done = site.ssh("alice", "id -un; printf '\\303\\251\\377'; exit 6")
    assert (done.stdout, done.returncode) == (b"alice\n\xc3\xa9\xff", 6), done.stderr
    site.expect("jump", "alice", done.stdout)
    assert site.ssh("bob", "id -un").stdout == b"bob\n"  # in no such group, and not recorded

    screen = site.terminal("alice")
    screen.expect_prompt()
    wait_until(lambda: relays(site), what="a relay of the service account's")
    (relay,) = relays(site)
    screen.send("kill -9 %d; cat /proc/%d/mem; ls -d /var/spool/castbucket/*; echo tried=$((1+1))\r"
                % (relay, relay))
    screen.expect("tried=2")
    assert relays(site) == [relay]
    screen.send("exit 3\r")
    assert screen.finish() == 3
    assert screen.seen.count(b"not permitted") == 1 and screen.seen.count(b"denied") == 2, screen.seen
    site.expect("jump", "alice", screen.seen)
    site.check_expected()

    with open(os.path.join(site.directory, "sent"), "wb") as file:
        file.write(bytes(range(256)) * 1000)
    site.sftp("alice", "put sent received")
    received = tree.path("/home/alice/received")
    assert os.path.getsize(received) == 256000 and os.stat(received).st_uid == tree.account("alice")[0]
    wait_until(lambda: len(site.recordings()) > len(site.expected), what="the upload")
    (entry,) = [one for one in site.recordings() if one["kind"] == "subsystem"]
    listed = site.castbucket("transfers", entry["id"], "--org", "acme")
    assert "received" in listed and "256000" in listed, listed
    site.expect("jump", "alice", site.raw(entry))


def attacks(site):
    """What castbucket-shell's page lists as tried fails in an installed system, too, and is recorded."""
    spool = "/var/spool/castbucket"
    victim = spool + "/victim"
    known = {entry["id"] for entry in site.recordings()}
    shown = []
    # Something that waits, so that there is something to reach for.
    site.tree.write(victim, "as it was\n", 0o600, owner="castbucket")
    for name in ATTACKS:
        if name != "own-terminal":
            done = site.ssh("alice", script(name, spool, victim, PROGRAM))
            judge(name, done.stdout)
            shown.append(done.stdout)
    screen = site.terminal("alice")
    screen.expect_prompt()
    screen.send("exec %s\r" % script("own-terminal", spool, victim, PROGRAM).replace("\n", " "))
    assert screen.finish() == 0
    assert b"SUCCEEDED" not in screen.seen and b": failed, " in screen.seen, screen.seen
    shown.append(screen.seen)
    assert site.tree.read(victim) == "as it was\n"
    os.unlink(site.tree.path(victim))
    # With those that attempts began within themselves.
    wait_until(lambda: not site.spooled(), what="the uploads")
    made = [site.raw(entry) for entry in site.recordings() if entry["id"] not in known]
    assert all(one in made for one in shown)
    for one in made:
        site.expect("jump", "alice", one)


def profile(site):
    """The example of an AppArmor profile is one, says AppArmor's parser."""
    site.tree.must("apparmor_parser", "--skip-kernel-load", "--skip-cache", "--skip-read-cache",
                   "/usr/share/doc/castbucket/examples/apparmor/castbucket-shell")
