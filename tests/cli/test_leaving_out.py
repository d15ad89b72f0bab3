"""What the command keeps from being loaded is there all the same when it is needed."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

_COMPRESSING: Final = """
import sys
from importlib.util import find_spec
from eventbus.cli.leaving_out import leave_out

leave_out()
from aiokafka import codec

assert find_spec("cramjam") is not None
assert codec.has_lz4() and codec.has_zstd() and codec.has_snappy()
print("cramjam.cramjam" in sys.modules)
for encode, decode in (
    (codec.lz4_encode, codec.lz4_decode),
    (codec.zstd_encode, codec.zstd_decode),
    (codec.snappy_encode, codec.snappy_decode),
):
    assert decode(encode(b"abc" * 100)) == b"abc" * 100
print("cramjam.cramjam" in sys.modules)
"""


def test_what_compresses_is_loaded_with_the_first_compressed_batch() -> None:
    """Until then aiokafka is told that it is there, and no memory is spent on it."""
    done = subprocess.run(
        [sys.executable, "-c", _COMPRESSING], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["False", "True"]
