"""Jobs on Modal (https://modal.com): begin at `machine.py`."""
