"""``python -m mattelike``: the command line, where no console script is installed."""

from mattelike.cli import main

if __name__ == "__main__":
    main()
