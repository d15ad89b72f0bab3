"""``python -m eventbus`` is the command ``eventbus``."""

from eventbus.cli import main

if __name__ == "__main__":
    main()
