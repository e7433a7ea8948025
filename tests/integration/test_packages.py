"""The packages of Debian, and those of Fedora and RHEL, say the same of what they are and need."""

import datetime
import os
import re

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
# Debian's names, and Fedora's where they are others.
FEDORA = {"libcmocka-dev": "libcmocka-devel", "libconfuse-dev": "libconfuse-devel",
          "libcurl4-openssl-dev": "libcurl-devel", "libexpat1-dev": "expat-devel",
          "libjansson-dev": "jansson-devel", "libssh-dev": "libssh-devel",
          "libssl-dev": "openssl-devel", "sudo": "sudo-devel", "zlib1g-dev": "zlib-devel",
          "castbucket-dev": "castbucket-devel"}
# What builds a package at all, there and here.
TOOLS = {"debhelper-compat", "dh-sequence-installsysusers",
         "gcc", "make", "systemd-rpm-macros"}


def text(name):
    with open(os.path.join(TOP, "pkg", name), encoding="utf-8") as file:
        return file.read()


def one_line(words):
    return " ".join(words.split())


def control():
    """{package: (summary, description)} of Debian's."""
    return {FEDORA.get(name, name): (summary, one_line(rest.replace("\n .\n", "\n")))
            for name, summary, rest in re.findall(
                r"^Package: (\S+)\n(?:.*\n)*?Description: (.*)\n((?: .*\n?)+)",
                text("debian/control"), re.MULTILINE)}


def spec():
    """The same of the spec."""
    found = {}
    parts = re.split(r"^%(?:package|description)(?: (\S+))?\n", text("rpm/castbucket.spec"),
                     flags=re.MULTILINE)
    for name, part in zip([None] + parts[1::2], parts[::2]):
        found.setdefault("castbucket" + ("-" + name if name else ""), []).append(part)
    return {name: (re.search(r"^Summary: +(.*)", head, re.MULTILINE)[1],
                   one_line(description.partition("\n%")[0]))
            for name, (head, description) in found.items()}


def test_they_are_built_with_the_same():
    block = text("debian/control").split("Build-Depends:\n")[1].split("\nStandards")[0]
    debian = set(re.findall(r"^ ([^ ,:]+)", block, re.MULTILINE))
    fedora = set(re.findall(r"^BuildRequires: +(\S+)", text("rpm/castbucket.spec"), re.MULTILINE))
    assert {FEDORA.get(name, name) for name in debian} ^ fedora == TOOLS


def test_they_are_three_and_described_alike():
    debian, fedora = control(), spec()
    assert sorted(debian) == ["castbucket", "castbucket-devel", "castbucket-proxy"]
    assert {name: (summary.lower(), words) for name, (summary, words) in debian.items()} == \
        {name: (summary.lower(), words) for name, (summary, words) in fedora.items()}


def test_they_are_of_the_same_day():
    debian = re.search(r"^ -- .*>  \w+, (.*) 12:", text("debian/changelog"), re.MULTILINE)[1]
    fedora = re.search(r"^\* \w+ (\w+ \d+ \d+) ", text("rpm/castbucket.spec"), re.MULTILINE)[1]
    assert datetime.datetime.strptime(debian, "%d %b %Y") == \
        datetime.datetime.strptime(fedora, "%b %d %Y")
