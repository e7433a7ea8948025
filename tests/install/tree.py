"""A Debian system in a directory, which is entered by chroot. What it mounts is seen only by the
namespace that check-install runs in, and goes with it."""

import hashlib
import os
import shutil
import subprocess

from lab.process import die_with_parent

MIRROR = "http://deb.debian.org/debian"
# A bastion before castbucket: what its administrator has anyway.
HOST_PACKAGES = "ca-certificates,man-db,openssh-client,openssh-server,sudo,systemd"
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}


class TreeError(Exception):
    pass


def must(words, log, **keywords):
    """Runs a command whose output goes to a log, and shows the log's end if it fails."""
    with open(log, "ab") as output:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                              check=False, **keywords)
    if done.returncode != 0:
        with open(log, encoding="utf-8", errors="replace") as file:
            tail = "".join(file.readlines()[-25:])
        raise TreeError("%s exited %d; the log is %s\n%s" % (" ".join(words), done.returncode, log,
                                                             tail))


def remove(path):
    """A tree of an earlier run. Its mounts went with that run, so this stays in one file system."""
    if os.path.exists(path):
        subprocess.run(["rm", "-rf", "--one-file-system", path], check=True)


class Tree:
    def __init__(self, directory, log, archives):
        self.directory = directory
        self.log = log
        os.makedirs(archives, exist_ok=True)
        self.mount("proc", "/proc", "-t", "proc")
        self.mount("tmpfs", "/run", "-t", "tmpfs", "-o", "mode=755")
        self.mount("tmpfs", "/dev", "-t", "tmpfs", "-o", "mode=755")
        for name in DEVICES:
            with open(self.path("/dev/" + name), "wb"):
                pass
            self.mount("/dev/" + name, "/dev/" + name, "--bind")
        os.makedirs(self.path("/dev/pts"))
        self.mount("devpts", "/dev/pts", "-t", "devpts", "-o", "newinstance,ptmxmode=0666,gid=5,mode=620")
        os.symlink("pts/ptmx", self.path("/dev/ptmx"))
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            os.symlink("/proc/self/fd/%d" % number, self.path("/dev/" + name))
        os.symlink("/proc/self/fd", self.path("/dev/fd"))
        self.mount(archives, "/var/cache/apt/archives", "--bind")
        os.makedirs(self.path("/run/sshd"), mode=0o755)

    def mount(self, what, where, *options):
        os.makedirs(os.path.dirname(self.path(where)), exist_ok=True)
        subprocess.run(["mount", *options, what, self.path(where)], check=True)

    def path(self, inside):
        """Where a file of the tree is outside it."""
        return self.directory + inside

    def read(self, inside):
        with open(self.path(inside), encoding="utf-8", errors="replace") as file:
            return file.read()

    def write(self, inside, text, mode=0o644, owner=None):
        path = self.path(inside)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
        if owner:
            self.must("chown", owner, inside)

    def account(self, name):
        """(uid, gid, groups) by the tree's own files."""
        for line in self.read("/etc/passwd").splitlines():
            words = line.split(":")
            if words[0] == name:
                groups = [int(fields[2]) for fields in
                          (group.split(":") for group in self.read("/etc/group").splitlines())
                          if name in fields[3].split(",")]
                return int(words[2]), int(words[3]), groups
        raise TreeError("there is no account %s in the tree" % name)

    def enter(self, user=None, limits=None):
        """For preexec_fn: into the tree, as this account of the tree's."""
        ids = self.account(user) if user else None

        def inside():
            die_with_parent()
            os.setsid()
            os.chroot(self.directory)
            os.chdir("/")
            if limits:
                limits()
            if ids:
                os.setgroups(ids[2])
                os.setresgid(ids[1], ids[1], ids[1])
                os.setresuid(ids[0], ids[0], ids[0])

        return inside

    def run(self, *words, user=None, env=(), seconds=300, **keywords):
        """A command inside. Returns its result, with text."""
        if "input" not in keywords:
            keywords["stdin"] = subprocess.DEVNULL
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              errors="surrogateescape", preexec_fn=self.enter(user),
                              env={**ENVIRONMENT, **dict(env)}, timeout=seconds, check=False,
                              **keywords)

    def must(self, *words, **keywords):
        done = self.run(*words, **keywords)
        if done.returncode != 0:
            raise TreeError("%s exited %d: %s%s" % (" ".join(words), done.returncode, done.stdout,
                                                    done.stderr))
        return done.stdout

    def apt(self, *words):
        """What it printed, too."""
        done = self.run("apt-get", "-y", "-q", "-o", "Dpkg::Options::=--force-unsafe-io", "-o",
                        "APT::Keep-Downloaded-Packages=true", "-o", "Acquire::Retries=3",
                        "-o", "Acquire::Languages=none", *words, seconds=1200)
        with open(self.log, "a", encoding="utf-8") as file:
            file.write(done.stdout + done.stderr)
        if done.returncode != 0:
            raise TreeError("apt-get %s exited %d: %s" % (
                " ".join(words), done.returncode, (done.stdout + done.stderr)[-3000:]))
        return done.stdout + done.stderr


def debootstrap(cache, suite, log):
    """The path of a tarball of the suite with a bastion's packages; made once."""
    made = os.path.join(cache, "host.tar")
    if not os.path.exists(made):
        directory = os.path.join(cache, "debootstrap")
        remove(directory)
        must(["debootstrap", "--variant=minbase", "--include=" + HOST_PACKAGES, suite, directory,
              MIRROR], log)
        with open(os.path.join(directory, "etc/hosts"), "w", encoding="utf-8") as file:
            file.write("127.0.0.1 localhost\n127.0.1.1 %s\n" % os.uname().nodename)
        # The tree's packages must not start services of theirs on the machine's ports.
        policy = os.path.join(directory, "usr/sbin/policy-rc.d")
        with open(policy, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\nexit 101\n")
        os.chmod(policy, 0o755)
        pack(directory, made, log)
        remove(directory)
    return made


def pack(directory, tarball, log):
    must(["tar", "-C", directory, "--one-file-system", "--exclude=./var/cache/apt/archives/*.deb",
          "-cf", tarball + ".new", "."], log)
    os.replace(tarball + ".new", tarball)


def unpack(tarball, directory, log):
    """Into memory: apt syncs what it writes, and nothing is left to be removed."""
    remove(directory)
    os.makedirs(directory)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "castbucket-tree", directory],
                   check=True)
    must(["tar", "-C", directory, "--numeric-owner", "-xpf", tarball], log)


def builder(cache, suite, log, sources):
    """A tree with the packages that castbucket's own build asks for; made once for each list."""
    with open(os.path.join(sources, "pkg/debian/control"), "rb") as file:
        name = "build-%s.tar" % hashlib.sha256(file.read()).hexdigest()[:16]
    made = os.path.join(cache, name)
    directory = os.path.join(cache, "builder")
    archives = os.path.join(cache, "archives")
    if os.path.exists(made):
        unpack(made, directory, log)
        return Tree(directory, log, archives)
    unpack(debootstrap(cache, suite, log), directory, log)
    tree = Tree(directory, log, archives)
    shutil.copytree(os.path.join(sources, "pkg/debian"), tree.path("/srv/needs/debian"))
    tree.apt("update")
    tree.apt("install", "--no-install-recommends", "dpkg-dev", "fakeroot", "pkgconf", "gcc",
             "libc6-dev", "make")
    tree.apt("build-dep", "--no-install-recommends", "-P", "nocheck", "/srv/needs")
    for old in os.listdir(cache):
        if old.startswith("build-"):
            os.unlink(os.path.join(cache, old))
    pack(directory, made, log)
    return tree


def release(directory):
    """Unmounts a tree with all that is mounted in it; processes of it have ended."""
    with open("/proc/self/mounts", encoding="utf-8") as file:
        places = [line.split()[1] for line in file]
    for place in reversed(places):
        if place == directory or place.startswith(directory + "/"):
            subprocess.run(["umount", "--lazy", place], check=True)
    os.rmdir(directory)


def owner(path):
    """"user group mode" of a file, by ids."""
    found = os.stat(path)
    return found.st_uid, found.st_gid, found.st_mode & 0o7777
