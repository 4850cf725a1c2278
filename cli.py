"""Runs theorylab from a checkout: `python cli.py check nash-md`."""

from theorylab.cli import main

if __name__ == "__main__":
    main()
