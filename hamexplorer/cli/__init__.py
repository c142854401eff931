"""The command line: ``hamexplorer app | compute | bands | convert | info | …``.

Exit codes: 0; 2 for what the user can mend, with the message alone on stderr; 130 when stopped
by Ctrl-C; 1 for a defect of the program, with its traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hamexplorer.cli.argument_lists import joined_lists
from hamexplorer.errors import CalculationCancelled, HamexplorerError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on ``arguments`` (default: the process's own); the exit code."""
    from hamexplorer.cli.commands import application

    words = sys.argv[1:] if arguments is None else arguments
    try:
        application(args=joined_lists(words), prog_name="hamexplorer")
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except (CalculationCancelled, KeyboardInterrupt) as error:
        print(str(error) or "Stopped.", file=sys.stderr)
        return 130
    except HamexplorerError as error:
        print(error, file=sys.stderr)
        return 2
    return 0
