"""`python -m wheatstone` is the command `wheatstone`; `torchrun -m wheatstone` runs it in several processes."""

from wheatstone.cli import main

main()
