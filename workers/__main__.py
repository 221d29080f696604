"""`python -m workers` is `annul`."""

from workers.cli import main

main()
