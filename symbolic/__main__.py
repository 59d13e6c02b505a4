"""``python -m symbolic doctor``."""
import sys

from symbolic.doctor import main

if __name__ == "__main__":
    sys.exit(main())
