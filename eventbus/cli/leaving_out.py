"""Keeps libraries from loading what is installed and not used here: a daemon would hold it for its life."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

__all__ = ["leave_out"]

_PYOPENSSL_OF_PYMONGO: Final = "pymongo.pyopenssl_context"
_NEEDS: Final = ("service_identity", "OpenSSL")


def leave_out() -> None:
    """Prepare for pymongo and structlog, before anything imports them."""
    _leave_out_cryptography()
    with _absent("rich"):  # structlog would print tracebacks with it; here they are text by then
        import structlog  # noqa: F401, PLC0415


def _leave_out_cryptography() -> None:
    """Have pymongo find at once that PyOpenSSL is not there, as it would after 10 MB of `cryptography`.

    Where it is there, with what belongs to it, pymongo asks by it whether certificates were revoked.
    """
    if any(find_spec(name) is None for name in _NEEDS):
        sys.modules.setdefault(_PYOPENSSL_OF_PYMONGO, None)  # type: ignore[arg-type] # None: not to be had


@contextmanager
def _absent(name: str) -> Iterator[None]:
    """While the body runs a package that is not loaded yet cannot be imported."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment] # as above
    try:
        yield
    finally:
        del sys.modules[name]
