"""Keeps libraries from loading what is installed and not used here: a daemon would hold it for its life."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

__all__ = ["leave_out"]

_PYOPENSSL_OF_PYMONGO: Final = "pymongo.pyopenssl_context"
_NEEDS: Final = ("service_identity", "OpenSSL")


def leave_out() -> None:
    """Prepare for pymongo, aiokafka and structlog, before anything imports them."""
    _leave_out_cryptography()
    _load_late("cramjam")  # aiokafka asks only whether it is there, until something is compressed
    with _absent("rich"):  # structlog would print tracebacks with it; here they are text by then
        import structlog  # noqa: F401, PLC0415


def _leave_out_cryptography() -> None:
    """Have pymongo find at once that PyOpenSSL is not there, as it would after 10 MB of `cryptography`.

    Where it is there, with what belongs to it, pymongo asks by it whether certificates were revoked.
    """
    if any(find_spec(name) is None for name in _NEEDS):
        sys.modules.setdefault(_PYOPENSSL_OF_PYMONGO, None)  # type: ignore[arg-type] # None: not to be had


class _Late(ModuleType):
    """Stands for a package until something in it is looked for: only then is it loaded."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def _load_late(name: str) -> None:
    if name not in sys.modules and (spec := find_spec(name)) is not None:
        late = sys.modules[name] = _Late(name)
        late.__spec__ = spec  # whoever asks whether it is there is told so


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
