"""`python -m shadowlab` is `shadowlab`."""

from shadowlab.cli import main

main()
