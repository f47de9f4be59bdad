"""``python -m finewave`` is the command line."""

from finewave.cli import main

main()
