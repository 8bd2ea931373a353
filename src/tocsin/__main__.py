"""``python -m tocsin``: the command line."""

import sys

from tocsin.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
