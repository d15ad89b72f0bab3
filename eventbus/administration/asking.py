"""What every request carries that is stored for others to obey: a name for it."""

from __future__ import annotations

import secrets

__all__ = ["new_operation_id"]


def new_operation_id() -> str:
    """Ten characters that no operation has: short enough to be typed, no @ and no dot."""
    return secrets.token_hex(5)
