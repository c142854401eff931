"""``python -m hamexplorer``: the command line."""

from hamexplorer.cli import main

raise SystemExit(main())
