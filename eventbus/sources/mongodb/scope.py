"""What one snapshot reads: its collections and its filter, as they are kept with its position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

__all__ = ["Scope"]

_RAW: Final[CodecOptions[RawBSONDocument]] = CodecOptions(document_class=RawBSONDocument)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a snapshot reads of what its source reads.

    Args:
        namespaces: Only these, as ``database.collection``; none for all of them.
        match: Only documents that this filter of MQL lets through; None for all of them.
    """

    namespaces: tuple[str, ...] = ()
    match: Any = None

    @classmethod
    def of(cls, raw: bytes) -> Self:
        """The scope that `to_bytes` has written; its filter stays raw."""
        if not raw:
            return cls()
        fields = bson.decode(raw, _RAW)
        return cls(tuple(fields["namespaces"]), fields["match"])

    def to_bytes(self) -> bytes:
        """Its form in a position."""
        return bson.encode({"namespaces": self.namespaces, "match": self.match})

    def includes(self, namespace: str) -> bool:
        """Whether it reads this one."""
        return not self.namespaces or namespace in self.namespaces

    def of_these(self, namespaces: Sequence[str]) -> list[str]:
        """Those that it reads, in the order in which it reads them."""
        return sorted(filter(self.includes, namespaces))
