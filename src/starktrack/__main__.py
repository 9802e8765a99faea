"""`python -m starktrack` is `starktrack`."""

from starktrack.cli.main import main

main()
