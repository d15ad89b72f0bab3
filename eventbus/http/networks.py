"""Which addresses may be connected to: judged on the address itself, after the name was resolved. No I/O.

A name may stand for one address now and for another a moment later, and one address has many spellings. So no
name and no spelling is judged here, only the number that the socket is given.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final, TypeAlias

__all__ = ["Networks", "network_of"]

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_WORDS: Final = frozenset({"public", "private"})
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_IPV4_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
_METADATA: Final = frozenset(
    map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"))
)
"""Where clouds hand out credentials to whoever asks, beside the link-local 169.254.169.254."""


def network_of(written: str) -> str | Network:
    """One of the words ``public`` and ``private``, or a network in CIDR notation.

    Raises:
        ValueError: It is neither.
    """
    if written in _WORDS:
        return written
    try:
        return ipaddress.ip_network(written)
    except ValueError:
        raise ValueError("expected public, private, or a network such as 10.1.0.0/16") from None


class Networks:
    """The networks that a sink may talk to.

    Args:
        written: As `network_of` takes them.
    """

    def __init__(self, written: Iterable[str]) -> None:
        named = [network_of(one) for one in written]
        self._words = {one for one in named if isinstance(one, str)}
        self._listed = [one for one in named if not isinstance(one, str)]

    def allow(self, address: str) -> bool:
        """Whether an address, as the system writes it, may be connected to.

        Link-local addresses, those that clouds keep for their metadata, and those that are nobody's must be
        in a listed network; neither word includes them.
        """
        number = _meant(ipaddress.ip_address(address.partition("%")[0]))
        if any(number in network for network in self._listed):
            return True
        if _is_special(number):
            return False
        return ("public" if number.is_global else "private") in self._words


def _meant(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, if it stands for one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    is_short = address in _IPV4_COMPATIBLE and int(address) > 1  # :: and ::1 are themselves
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if is_short or address in _NAT64 else address


def _is_special(address: Address) -> bool:
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address in _METADATA
        or (address.is_reserved and not address.is_loopback)
        or (isinstance(address, ipaddress.IPv4Address) and int(address) >> 24 == 0)
    )
