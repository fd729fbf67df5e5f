"""`python -m tesuji` is the command `tesuji`."""

from tesuji.cli.main import entry

entry()
