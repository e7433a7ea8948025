#!/usr/bin/python3
"""Dependencies point one way: says which #include breaks it. Prints a line for each; exits 1."""

import os
import re
import sys

# What each part may include of the others. Left out: the part itself.
BOTTOM = ["recorder/base"]
FORMATS = BOTTOM + ["recorder/cast", "recorder/journal", "recorder/aws", "recorder/settings"]
MIDDLE = FORMATS + ["recorder/transfer", "recorder/seal", "recorder/spool", "recorder/store"]
UPPER = MIDDLE + ["recorder/upload", "recorder/read"]
MAY_INCLUDE = {
    "recorder/base": [],
    "recorder/cast": BOTTOM,
    "recorder/journal": BOTTOM,
    "recorder/aws": BOTTOM,
    "recorder/settings": BOTTOM,
    "recorder/spool": BOTTOM,
    "recorder/transfer": BOTTOM,
    "recorder/seal": BOTTOM + ["recorder/cast", "recorder/journal", "recorder/spool",
                               "recorder/transfer"],
    "recorder/store": BOTTOM + ["recorder/aws", "recorder/settings"],
    "recorder/upload": MIDDLE,
    "recorder/read": MIDDLE,
    "recorder/service": UPPER,
    "recorder/cli": UPPER + ["recorder/service"],
    # What a host loads only appends: nothing of HTTP, of stores, or of the cast.
    "plugin": BOTTOM + ["recorder/journal", "recorder/settings", "recorder/spool",
                        "recorder/transfer", "recorder/service"],
    "hooks/common": [],
    "hooks/proxy": ["hooks/common"],
    "hooks/shell": ["hooks/common"],
    "hooks/sudo": ["hooks/common"],
}
PUBLIC_HEADER = "plugin/recording_plugin.h"  # may be included by all hooks

# Who may include whose library. Left out of this table: anybody.
LIBRARIES = {
    "curl/": ["recorder/aws"],
    "expat.h": ["recorder/aws"],
    "libssh/": ["hooks/proxy"],
    "confuse.h": ["hooks/proxy"],
    "zlib.h": ["recorder/seal", "recorder/read"],
    "jansson.h": ["recorder/aws",
                  "recorder/base", "recorder/cast", "recorder/settings", "recorder/seal", "recorder/spool",
                  "recorder/store", "recorder/upload", "recorder/read", "recorder/service",
                  "recorder/cli"],  # the journal knows no JSON
}
# More that DESIGN says of single parts.
FORBIDDEN = {
    "recorder/cast": {"recorder/base/file.h": "the cast knows no files",
                      "fcntl.h": "the cast knows no files"},
    "recorder/transfer": {"recorder/base/file.h": "the decoders know no files",
                          "fcntl.h": "the decoders know no files"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def problems_of(path):
    part = os.path.dirname(path)
    if part not in MAY_INCLUDE:
        yield 0, "tests/layers.py does not know the part %s" % part
        return
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            found = INCLUDE.match(line)
            if not found:
                continue
            quote, name = found.groups()
            if name in FORBIDDEN.get(part, {}):
                yield number, "includes %s: %s" % (name, FORBIDDEN[part][name])
            if quote == '"':
                other = os.path.dirname(name)
                allowed = other == part or other in MAY_INCLUDE[part]
                if part.startswith("hooks/"):
                    allowed = allowed or name == PUBLIC_HEADER
                if not allowed:
                    yield number, "%s must not include %s" % (part, name)
            for library, users in LIBRARIES.items():
                if quote == "<" and name.startswith(library) and part not in users:
                    yield number, "%s must not include <%s>: only %s may" % (
                        part, name, ", ".join(users))


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    bad = 0
    for top in ("plugin", "hooks", "recorder"):
        for folder, _, names in sorted(os.walk(top)):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    for number, problem in problems_of(os.path.join(folder, name)):
                        print("%s:%d: %s" % (os.path.join(folder, name), number, problem))
                        bad += 1
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
