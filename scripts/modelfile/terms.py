"""Shows the terms of a model and asks for consent before its weights are downloaded."""

import html
import re
import sys
import textwrap

from .errors import USAGE, ExportError


def plain_text(page):
    """The readable text of an HTML page, from its terms on."""
    page = re.sub(r"<(script|style|head|nav|header|footer)\b.*?</\1>", " ", page, flags=re.S | re.I)
    page = re.sub(r"<(p|br|li|h[1-6]|div|tr)\b[^>]*>", "\n", page, flags=re.I)
    lines = [" ".join(line.split()) for line in html.unescape(re.sub(r"<[^>]+>", " ", page)).splitlines()]
    text = "\n".join(line for line in lines if line)
    return text[max(text.find("Last modified"), 0) :].partition("\nSend feedback")[0]


def ask(title, text, address, accepted):
    """Prints the terms on stderr; ExportError unless they are accepted by flag or by an interactive yes."""
    for line in text.splitlines():
        print(textwrap.fill(line, 100), file=sys.stderr)
    print(f"\nThese are the terms of {title} ({address}).", file=sys.stderr)
    if accepted:
        return
    if sys.stdin.isatty():
        print("Do you accept them? [yes/no] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
    message = "the terms were not accepted; no weights were downloaded"
    raise ExportError(USAGE, message, "read them, then pass --accept-terms")
