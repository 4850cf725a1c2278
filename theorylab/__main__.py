"""`python -m theorylab`."""

from theorylab.cli import main

main()
