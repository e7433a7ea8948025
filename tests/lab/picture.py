#!/usr/bin/python3
"""Draws README's picture: runs tests/demo under a terminal, and writes what it showed from "alice" to
the end of the replay as pkg/demo.svg. Run it when the demo looks different: tests/lab/picture.py"""

import html
import os
import sys

import pyte

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab.process import TOP, Terminal, environment  # noqa: E402

COLUMNS, ROWS = 104, 120
FROM, TO = "== 5. ", "== 8. "
CELL, LINE, MARGIN = 7.8, 17, 14
COLOURS = {"default": "#d8dee9", "black": "#3b4252", "red": "#bf616a", "green": "#a3be8c",
           "brown": "#ebcb8b", "blue": "#81a1c1", "magenta": "#b48ead", "cyan": "#88c0d0",
           "white": "#eceff4"}


def runs(row):
    """(column, text, colour, bold) of stretches that look the same."""
    column = 0
    while column < COLUMNS:
        look = (row[column].fg, row[column].bold)
        end = column
        while end < COLUMNS and (row[end].fg, row[end].bold) == look:
            end += 1
        text = "".join(row[at].data for at in range(column, end))
        if text.strip():
            yield column, text.rstrip(), COLOURS.get(look[0], COLOURS["default"]), look[1]
        column = end


def main():
    demo = Terminal([os.path.join(TOP, "tests", "demo")], columns=COLUMNS, rows=ROWS,
                    env=environment(HOME=os.environ.get("HOME", "/")))
    if demo.finish(180) != 0:
        sys.exit(demo.seen.decode(errors="replace"))
    seen = demo.seen[demo.seen.index(FROM.encode()):demo.seen.index(TO.encode())]
    screen = pyte.Screen(COLUMNS, ROWS)
    pyte.ByteStream(screen).feed(b"\033[1;34m" + seen)
    lines = [row for row in range(ROWS) if screen.display[row].strip()]
    height = lines[-1] + 1
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-size="13" '
             'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace">' % (
                 COLUMNS * CELL + 2 * MARGIN, height * LINE + 2 * MARGIN),
             '<rect width="100%" height="100%" rx="8" fill="#2e3440"/>']
    for row in range(height):
        for column, text, colour, bold in runs(screen.buffer[row]):
            parts.append('<text x="%.1f" y="%d" fill="%s"%s xml:space="preserve" textLength="%.1f">'
                         "%s</text>" % (MARGIN + column * CELL, MARGIN + row * LINE + 13, colour,
                                        ' font-weight="bold"' if bold else "", len(text) * CELL,
                                        html.escape(text)))
    parts.append("</svg>\n")
    with open(os.path.join(TOP, "pkg", "demo.svg"), "w", encoding="utf-8") as file:
        file.write("\n".join(parts))


if __name__ == "__main__":
    main()
