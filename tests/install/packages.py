"""The packages themselves: built where they are to run, twice, and the units that they bring."""

import glob
import os
import re
import subprocess
import sys
import tempfile

from tree import builder, must, release

VERSIONS = ("", "+next")  # what is installed first, and what it is upgraded to
EXPOSURE = 25  # tenths, of systemd-analyze security: below it


def version(top):
    with open(os.path.join(top, "Makefile"), encoding="utf-8") as file:
        return re.search(r"^VERSION := (\S+)$", file.read(), re.MULTILINE)[1]


def copy_sources(tree, top):
    """Into a tree. Returns where they are inside."""
    os.makedirs(tree.path("/srv/sources"))
    tar = subprocess.Popen(["tar", "-C", top, "-c", "--exclude=__pycache__",
                            "--exclude=node_modules", "--exclude=.pytest_cache", ".clang-format",
                            "Makefile", "README.md", "hooks", "pkg", "plugin", "recorder", "tests"],
                           stdout=subprocess.PIPE)
    subprocess.run(["tar", "-C", tree.path("/srv/sources"), "-x"], stdin=tar.stdout, check=True)
    assert tar.wait() == 0
    return "/srv/sources"


def same_bytes(one, other):
    with open(one, "rb") as first, open(other, "rb") as second:
        return first.read() == second.read()


def build_packages(cache, suite, log, top, directory):
    """Packages are built from their sources alone, in a tree with nothing but what they ask for,
    and are the same bytes when they are built again."""
    tree = builder(cache, suite, log, top)
    sources = copy_sources(tree, top)
    made = {}
    for which, more in zip(("first", "again", "next"), ("", "", "+next")):
        if which == "again":
            # In a place of another name, so that the name cannot matter.
            os.rename(tree.path(sources), tree.path(sources + "-elsewhere"))
            sources += "-elsewhere"
        tree.must(sources + "/pkg/make-deb", "/srv/" + which,
                  env={"VERSION": version(top) + more}, seconds=900)
        files = sorted(os.listdir(tree.path("/srv/" + which)))
        made[which] = {name: tree.path("/srv/%s/%s" % (which, name)) for name in files
                       if name.endswith((".deb", ".tar.gz", ".tar.xz", ".dsc"))}
        assert len([name for name in made[which] if name.endswith(".deb")]) >= 3, files
    assert not os.path.exists(tree.path(sources + "/debian"))
    assert not os.path.exists(tree.path(sources + "/build"))
    assert list(made["first"]) == list(made["again"])
    for name, path in made["first"].items():
        assert same_bytes(path, made["again"][name]), name
    for which in ("first", "next"):
        folder = os.path.join(directory, suite, which)
        os.makedirs(folder, exist_ok=True)
        for path in glob.glob(tree.path("/srv/%s/*.deb" % which)):
            if "-dbgsym_" not in path:
                must(["cp", path, folder], log)
    # What an author of a host has: the example, made with the installed header.
    tree.apt("install", "--no-install-recommends", *[
        "/srv/first/" + name for name in made["first"] if name.startswith("castbucket-dev_")])
    tree.must("sh", "-c", "cc -Wall -Wextra -Werror -o /srv/host "
              "/usr/share/doc/castbucket-dev/examples/host.c $(pkg-config --cflags castbucket)")
    must(["cp", tree.path("/srv/host"), os.path.join(directory, suite)], log)
    release(tree.directory)


def verify_units(top):
    """systemd finds nothing to say of any unit. The programs need not be installed here."""
    with tempfile.TemporaryDirectory() as directory:
        copies = []
        for path in sorted(glob.glob(os.path.join(top, "pkg/systemd/castbucket*.s[eo][rc][vk]*"))):
            copies.append(os.path.join(directory, os.path.basename(path)))
            with open(path, encoding="utf-8") as unit, open(copies[-1], "w",
                                                            encoding="utf-8") as copy:
                copy.write(re.sub(r"/usr/s?bin/castbucket\S*", "/bin/true", unit.read()))
        assert len(copies) == 3, copies
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *copies], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0 and not done.stdout, done.stdout


def check_units(top):
    """systemd takes the units as they are, and both services are exposed less than 2.5, by
    systemd-analyze security."""
    verify_units(top)
    for path in sorted(glob.glob(os.path.join(top, "pkg/systemd/*.service"))):
        done = subprocess.run(["systemd-analyze", "security", "--offline=true",
                               "--threshold=%d" % (EXPOSURE - 1), path], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        assert done.returncode == 0, done.stdout[-500:]
        found = re.search(r"exposure level for (\S+): ([\d.]+)", done.stdout)
        print("            %s: %s" % (found[1], found[2]), file=sys.stdout)
