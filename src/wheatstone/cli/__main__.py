"""`python -m wheatstone.cli` is the command `wheatstone`."""

from wheatstone.cli import main

main()
