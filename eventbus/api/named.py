"""From what the command line calls a wrong configuration or call to what the web calls it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eventbus.api.problems import Refused
from eventbus.errors import ConfigurationError

__all__ = ["there"]


def there(check: Callable[..., None], *args: Any) -> None:
    """Check that something of this name is configured.

    Raises:
        Refused: It is not there.
    """
    try:
        check(*args)
    except ConfigurationError as error:
        raise Refused("not_found", str(error)) from None
