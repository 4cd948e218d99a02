"""The `orderflow` command. One file a command, imported only when it is asked for.

Exit codes: 0 good, 1 a check failed, 2 bad usage or configuration, with one line on stderr that names the argument
or the key; 130 interrupted. Results go to stdout, progress to stderr and only where that is a terminal.
"""
from __future__ import annotations

import sys
from collections.abc import Sequence

GOOD, CHECK_FAILED, BAD_USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. `arguments` default to the process's own."""
    from orderflow.cli.application import refusal, run  # typer costs more than `import orderflow` does

    chosen = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        code = run(chosen)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:                 # `orderflow ... | head`: nobody reads on, which is nobody's mistake
        sys.stdout = None                   # or the interpreter would flush it again, and complain
        return GOOD
    except Exception as error:
        code, line = refusal(error)
        if code is None:
            raise
        print(f"orderflow: {line}", file=sys.stderr)
    return code or GOOD
