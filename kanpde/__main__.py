"""``python -m kanpde``."""

import sys

from kanpde.command import main

if __name__ == "__main__":
    sys.exit(main())
