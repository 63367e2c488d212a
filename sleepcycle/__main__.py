"""`python -m sleepcycle` is the command `sleepcycle`."""

from sleepcycle.cli import main

main()
