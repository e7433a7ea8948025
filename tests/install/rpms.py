"""The rpms, installed by Debian's rpm in a Debian: no Fedora is needed, and none is shown to work.
Libraries come from Debian; accounts, files, modes, scriptlets and rpm's own bookkeeping are real."""

import glob
import json
import os
import re
import shutil
import subprocess

from bastion import ORGANIZATION
from packages import copy_sources, same_bytes, version
from scenes import SPOOL, directories, manual
from tree import ENVIRONMENT, builder, must, owner, release

DEB_OF = {"castbucket": "castbucket", "castbucket-devel": "castbucket-dev",
          "castbucket-proxy": "castbucket-proxy"}
NAMES = tuple(DEB_OF)
SHELL = "/usr/bin/castbucket-shell"
SHELL_CONF = "/etc/castbucket/shell.conf"
STORE = "/srv/recordings"
# rpm knows only its own packages, and Debian's rpm wants to be told that it is meant.
RPM = ("rpm", "--force-debian", "--nodeps")
# Fedora's names for what Debian puts elsewhere.
ELSEWHERE = (("/lib/systemd/", "/usr/lib/systemd/"), ("/vendor-completions/", "/site-functions/"),
             ("/doc/castbucket-dev/", "/doc/castbucket-devel/"))
DEB_ONLY = re.compile(r"/usr/share/doc/[^/]+/(copyright|changelog\.Debian)$")
# What rpm, useradd and systemctl keep of their own.
KEPT_BY_OTHERS = re.compile(r"^(root/\.rpmdb|etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|"
                            r"etc/\.pwd\.lock|etc/systemd/system|var/lib/systemd|run|tmp|srv)")


def build(cache, log, top, directory):
    """Rpms are built from their sources alone, and are the same bytes when they are built again."""
    tree = builder(cache, "bookworm", log, top)
    tree.apt("install", "--no-install-recommends", "rpm")
    sources = copy_sources(tree, top)
    for program, where, more in (("make-deb", "deb", ""), ("make-rpm", "first", ""),
                                 ("make-rpm", "again", ""), ("make-rpm", "next", "+next")):
        if more:  # and with other settings: those of the administrator are to win
            tree.must("sh", "-c", "echo '# next' >>%s/pkg/examples/shell.conf" % sources)
        tree.must("%s/pkg/%s" % (sources, program), "/srv/" + where,
                  env={"VERSION": version(top) + more}, seconds=900)
    assert not os.path.exists(tree.path(sources + "/build"))
    made = [path for path in glob.glob(tree.path("/srv/first/*.rpm"))
            if not path.endswith(".src.rpm")]
    assert len(made) == len(NAMES), made
    for path in made:
        assert same_bytes(path, path.replace("/srv/first/", "/srv/again/")), path
    for where in ("deb", "first", "next"):
        os.makedirs(os.path.join(directory, where))
        for path in glob.glob(tree.path("/srv/%s/*.[dr][ep][bm]" % where)):
            if "-dbgsym_" not in path and not path.endswith(".src.rpm"):
                must(["cp", path, os.path.join(directory, where)], log)
    release(tree.directory)


def packages(site, where):
    return ["/srv/%s/%s" % (where, name) for name in os.listdir(site.tree.path("/srv/" + where))]


def listed(site, *words):
    return site.tree.must("rpm", "-ql", *words).splitlines()


def files_of_deb(site, name):
    (path,) = [path for path in packages(site, "deb") if "/%s_" % name in path]
    found = set()
    for line in site.tree.must("dpkg-deb", "-c", path).splitlines():
        name = line.split(None, 5)[5].lstrip(".").removesuffix(".gz")
        for debian, fedora in ELSEWHERE:
            name = re.sub("^" + debian if debian.startswith("/lib/") else debian, fedora, name)
        if not name.endswith("/") and not DEB_ONLY.match(name):
            found.add(name)
    return found


def install(site):
    """rpm installs the three in one step, without a word, and finds every file as its package says;
    nothing else is there but what the account and the enabled units need."""
    tree = site.tree
    for where in ("deb", "first", "next"):
        shutil.copytree(os.path.join(site.directory, where), tree.path("/srv/" + where))
    needs = ["rpm"]  # and, by Debian's names, what the programs need
    for path in packages(site, "deb"):
        needs += [one for one in tree.must("dpkg-deb", "-f", path, "Depends").split(",")
                  if one.strip() and "castbucket" not in one]
    tree.apt("satisfy", "--no-install-recommends", ",".join(needs))
    site.accounts()
    site.before = site.files()
    done = tree.run(*RPM, "-i", *packages(site, "first"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
    assert tree.must("rpm", "-V", "--nodeps", *NAMES) == ""
    came = {"/" + name for name in site.files() - site.before if not KEPT_BY_OTHERS.match(name)}
    assert came <= set(listed(site, *NAMES)), came - set(listed(site, *NAMES))
    for name in ("castbucket", "castbucket-shell", "castbucket-proxy"):
        assert tree.must(name, "--version").startswith(name + " ")
    for name in ("castbucket.service", "castbucket-proxy.service"):
        assert tree.must("systemctl", "is-enabled", name) == "enabled\n"


def same_files(site):
    """Each deb's files are in the rpm of its name, and the reverse, but for Debian's changelog and
    copyright."""
    for name in NAMES:
        rpm = {path.removesuffix(".gz") for path in listed(site, name)
               if not os.path.isdir(site.tree.path(path))}
        deb = files_of_deb(site, DEB_OF[name])
        assert rpm == deb, (name, rpm ^ deb)


def account(site):
    """The account is the one of sysusers.d, castbucket-shell is set-user-ID and set-group-ID to it,
    and systemd-tmpfiles and systemd-sysusers change nothing of what rpm made."""
    tree = site.tree
    uid, gid, _ = tree.account("castbucket")
    assert owner(tree.path(SHELL)) == (uid, gid, 0o6755)
    before = tree.read("/etc/passwd"), tree.read("/etc/group")
    tree.must("systemd-sysusers", "castbucket.conf")
    tree.must("systemd-tmpfiles", "--create", "castbucket.conf")
    assert before == (tree.read("/etc/passwd"), tree.read("/etc/group"))
    assert tree.must("rpm", "-V", "--nodeps", *NAMES) == ""
    words = re.search(r'^u +castbucket +- +"(.*)" +(\S+) +(\S+)$',
                      tree.read("/usr/lib/sysusers.d/castbucket.conf"), re.MULTILINE).groups()
    assert tuple(tree.must("getent", "passwd", "castbucket").strip().split(":")[4:]) == words


def record(site, text):
    """A session of alice's by castbucket-shell; check_stored() looks for it."""
    shown = site.tree.must(SHELL, "-c", "id -un; echo " + text, user="alice",
                           env={"HOME": "/home/alice"})
    assert shown == "alice\n%s\n" % text, shown
    site.expect("jump", "alice", shown.encode())


def check_stored(site):
    """Stores what waits, and finds every session noted so far, whole and to the byte."""
    tree = site.tree
    tree.must("castbucket", "recorder", "--once", user="castbucket")
    assert site.spooled() == []
    entries = [json.loads(line) for line in
               tree.must("castbucket", "ls", "--org", ORGANIZATION, "--json").splitlines()]
    raws = []
    for entry in entries:
        tree.must("castbucket", "verify", entry["id"], "--org", ORGANIZATION)
        raws.append(subprocess.run(
            ["castbucket", "get", entry["id"], "--org", ORGANIZATION, "--raw", "-o", "-"],
            stdout=subprocess.PIPE, env=ENVIRONMENT, preexec_fn=tree.enter(), check=True).stdout)
    assert sorted(raws) == sorted(shown for _, _, shown in site.expected)


def session(site):
    """castbucket-shell records a command into a directory, by the installed plugin and settings."""
    tree = site.tree
    tree.must("install", "-d", "-o", "castbucket", "-g", "castbucket", "-m", "700", STORE)
    tree.must("castbucket", "settings", "storage", ORGANIZATION, "--type", "directory", "--path",
              STORE)
    tree.must("castbucket", "settings", "socket", "jump", "--organization", ORGANIZATION,
              "--recording", "on")
    record(site, "first")
    check_stored(site)


def asked_of_systemd(site, *words):
    """Runs a command as where systemd runs. Returns what it asked systemctl for."""
    tree = site.tree
    tree.must("mv", "/usr/bin/systemctl", "/usr/bin/systemctl.away")
    os.makedirs(tree.path("/run/systemd/system"))
    tree.write("/usr/bin/systemctl", '#!/bin/sh\necho "$@" >>/srv/asked\n', 0o755)
    try:
        tree.must(*words)
    finally:
        os.rmdir(tree.path("/run/systemd/system"))
        tree.must("mv", "/usr/bin/systemctl.away", "/usr/bin/systemctl")
    return tree.read("/srv/asked").splitlines()


def upgrade(site):
    """Upgraded while a session goes on and recordings wait, it loses none of them, nor a changed
    setting; the recorder is restarted, and the proxy only reloaded."""
    tree = site.tree
    for number in range(20):
        record(site, "waits-%d" % number)
    changed = tree.read(SHELL_CONF) + "# changed\n"
    tree.write(SHELL_CONF, changed)
    waiting = site.spooled()
    assert len(waiting) == 20, waiting
    goes_on = subprocess.Popen(
        [SHELL, "-c", "echo before; read word; echo after=$word"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, env={**ENVIRONMENT, "HOME": "/home/alice"},
        preexec_fn=tree.enter("alice"))
    assert goes_on.stdout.readline() == b"before\n"
    asked = asked_of_systemd(site, *RPM, "-U", *packages(site, "next"))
    assert sorted(asked) == ["try-reload-or-restart castbucket-proxy.service",
                             "try-restart castbucket.service"], asked
    rest, _ = goes_on.communicate(b"upgrade\n", timeout=60)
    assert rest == b"after=upgrade\n" and goes_on.returncode == 0
    site.expect("jump", "alice", b"before\n" + rest)
    assert "+next" in tree.must("castbucket", "--version")
    assert tree.read(SHELL_CONF) == changed and "# next" in tree.read(SHELL_CONF + ".rpmnew")
    done = tree.run("rpm", "-V", "--nodeps", *NAMES)
    assert re.fullmatch(r"\S+ +c %s\n" % SHELL_CONF, done.stdout), done
    assert set(waiting) < set(site.spooled())
    record(site, "new")
    check_stored(site)


def refused(site):
    """While /etc/sudo.conf names the plugin, without which sudo would run nothing, rpm does not
    remove it, and says why."""
    tree = site.tree
    # Of sudo's own package.
    kept = tree.read("/etc/sudo.conf")
    tree.write("/etc/sudo.conf", tree.read("/usr/share/doc/castbucket/examples/sudo.conf"))
    done = tree.run(*RPM, "-e", "castbucket")
    assert done.returncode != 0 and "/etc/sudo.conf names castbucket_io" in done.stderr, done
    assert "+next" in tree.must("rpm", "-q", "castbucket")
    record(site, "still")
    tree.write("/etc/sudo.conf", kept)


def removal(site):
    """Removed, it keeps the spool in which recordings wait, says so, and leaves no other file than
    settings; installed again, it stores them."""
    tree = site.tree
    tree.must("usermod", "-s", SHELL, "bob")
    waiting = site.spooled()
    assert waiting
    done = tree.run(*RPM, "-e", *NAMES)
    assert done.returncode == 0, done
    assert SPOOL + " is kept" in done.stderr and "login shell of bob" in done.stderr, done
    assert site.spooled() == waiting
    left = {"/" + name for name in site.files() - site.before if not KEPT_BY_OTHERS.match(name)}
    left = {name for name in left if not name.startswith(SPOOL)}
    assert left == {"/etc/castbucket", "/etc/castbucket/settings.json", SHELL_CONF + ".rpmnew",
                    SHELL_CONF + ".rpmsave"}, left
    assert not site.before - site.files()
    tree.must(*RPM, "-i", *packages(site, "next"))
    check_stored(site)


SCENES = (install, same_files, account, directories, manual, session, upgrade, refused, removal)
