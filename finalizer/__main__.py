"""`python -m finalizer` is the `finalizer` command."""

from finalizer.cli import main

main()
