"""Errors and messages of the exporting scripts; exit codes are those of the programs."""

import sys

USAGE, DATA, FILE, MISMATCH, IO, INTERNAL = 2, 3, 4, 5, 6, 70


class ExportError(Exception):
    """What went wrong, where, what was expected (`message`), what to do (`hint`), and the exit code."""

    def __init__(self, code, message, hint=""):
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


def say(text):
    """One line of progress on stderr; results go to stdout."""
    print(f"[model] {text}", file=sys.stderr, flush=True)


def warn(text):
    say(f"warning: {text}")


def run(main):
    """Exit code of `main()`, with an ExportError printed as the programs print theirs."""
    try:
        main()
        return 0
    except ExportError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("error: interrupted; nothing was written", file=sys.stderr)
        return 130
