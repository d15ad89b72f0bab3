"""Names for versions of what was written, so that a dead letter can say under which one it came to be."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from eventbus.config.nodes import MappingNode, Node, ScalarNode, SequenceNode

__all__ = ["version_of"]


def version_of(*parts: Node) -> str:
    """12 hexadecimal digits that change with anything written in the parts.

    Not with its place, its order or comments; nor with what variables and files hold, which may be secret.
    """
    text = json.dumps([_plain(part) for part in parts], sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=6).hexdigest()


def _plain(node: Node) -> Any:
    match node:
        case MappingNode():
            return {key: _plain(value) for key, value in node.values.items()}
        case SequenceNode():
            return [_plain(item) for item in node.items]
        case ScalarNode():
            return node.value if node.substitution is None else node.substitution.label
