"""What is true of whatever listens here."""

import ipaddress

LARGEST = 8 << 20  # bytes of a request


def is_local(host: str) -> bool:
    """Whether a name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
