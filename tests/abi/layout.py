"""The layout of a version of recording_plugin.h: what a binary that was built with it relies on."""

import os
import re
import subprocess

STRUCT = re.compile(r"^struct (\w+) \{\n(.*?)^\};", re.MULTILINE | re.DOTALL)
FUNCTION = re.compile(r"\(\*(\w+)\)\([^;]*\);")
MEMBER = re.compile(r"(\w+)(?:\[\d+\])?\s*(?=[,;])")
ENUM = re.compile(r"\b(RECORDING_[A-Z_]+) = \d+")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def members(body):
    for statement in re.split(r"(?<=;)", body):
        function = FUNCTION.search(statement)
        if function:
            yield function.group(1)
        else:
            yield from MEMBER.findall(statement)


def layout(header, directory):
    """{name: (offset, size)} of all members and {name: value} of all constants, by the compiler."""
    with open(header, encoding="utf-8") as file:
        text = COMMENT.sub("", file.read())
    lines = ["#include <stdio.h>", '#include "%s"' % os.path.abspath(header), "int main(void) {"]
    for struct, body in STRUCT.findall(text):
        for member in members(body):
            lines.append('printf("%s.%s %%zu %%zu\\n", offsetof(struct %s, %s), '
                         "sizeof(((struct %s *)0)->%s));"
                         % (struct, member, struct, member, struct, member))
    for name in ENUM.findall(text):
        lines.append('printf("%s %%d 0\\n", (int)%s);' % (name, name))
    lines.append('printf("RECORDING_PLUGIN_SYMBOL %zu 0\\n", sizeof(RECORDING_PLUGIN_SYMBOL));')
    lines.append('printf("RECORDING_PLUGIN_MAJOR %d 0\\n", RECORDING_PLUGIN_MAJOR);')
    lines.append("}")
    source, program = os.path.join(directory, "layout.c"), os.path.join(directory, "layout")
    with open(source, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    subprocess.run([os.environ.get("CC", "gcc"), "-o", program, source], check=True)
    printed = subprocess.run([program], stdout=subprocess.PIPE, check=True, text=True).stdout
    return {name: (int(first), int(second))
            for name, first, second in (line.split() for line in printed.splitlines())}
