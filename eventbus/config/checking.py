"""A part of the tree against a pydantic model; everything that does not fit is noted at its place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from eventbus.config import wording
from eventbus.config.expectation import Expectation, expected_by, plain_data
from eventbus.config.nodes import MappingNode, Node, Path, Place, descend, scalars
from eventbus.config.problems import Problems

__all__ = ["check"]

_M = TypeVar("_M", bound=BaseModel)
_OF_A_KEY: Final = ("[key]",)
"""How pydantic's location ends if a key itself is wrong."""


def check(
    model: type[_M],
    node: Node,
    path: Path,
    problems: Problems,
    *,
    place: Place,
    also_known: Sequence[str] = (),
) -> _M | None:
    """Make a `model` of what was written, or note all that is wrong with it.

    Args:
        model: What is expected.
        node: What was written.
        path: Where it belongs in the configuration.
        problems: Takes what is wrong.
        place: Where a key that is missing from `node` itself is reported.
        also_known: Keys beside those of the model that a misspelt one may have meant.

    Returns:
        The model; None if there is any problem.
    """
    expectation = expected_by(model)
    part = _Part(node, path, place, expectation, also_known)
    try:
        made = model.model_validate(plain_data(node, expectation))
    except ValidationError as error:
        for finding in _joined(
            _causes([part.locate(details) for details in error.errors(include_url=False)])
        ):
            problems.add(finding.place, finding.path, finding.message)
        return None
    except Exception as error:  # noqa: BLE001 - a plugin's validator may raise anything, its text may be a secret
        message = f"the options cannot be checked: {model.__module__} raises {type(error).__name__}"
        problems.add(place, path, message)
        return None
    return None if any(scalar.broken for scalar in scalars(node)) else made


@dataclass(frozen=True, slots=True)
class _Finding:
    """One of pydantic's errors, at its place in the tree."""

    kind: str
    place: Place
    path: Path
    message: str
    is_of_broken_value: bool
    """Whether it may come from a value that could not be found out, which is noted already."""
    branch: Path | None
    """Where one of several alternatives was tried; None if there was but one."""


@dataclass(frozen=True, slots=True)
class _Part:
    node: Node
    path: Path
    place: Place
    expectation: Expectation
    also_known: Sequence[str]

    def locate(self, details: ErrorDetails) -> _Finding:
        """Walk pydantic's location down the tree. Steps that are not in it name tried alternatives."""
        kind, loc = details["type"], details["loc"]
        own = loc[-1] if kind in wording.ABOUT_A_KEY and loc else None
        node, expectation, path, place = self.node, self.expectation, self.path, self.place
        branch: Path | None = None
        for step in loc if own is None else loc[:-1]:
            inner = descend(node, step)
            if inner is None:
                branch = path if branch is None else branch
                continue
            place = node.keys.get(str(step), inner.place) if isinstance(node, MappingNode) else inner.place
            node, expectation, path = inner, expectation.below(step), (*path, step)
        known = [*expectation.keys, *(self.also_known if path == self.path else ())]
        return _Finding(
            kind,
            place if loc[-1:] == _OF_A_KEY else _place(own, kind == "missing", node, place),
            path,
            wording.sentence(details, node, expectation, known),
            own is None and any(scalar.broken for scalar in scalars(node)),
            branch if loc[-1:] != _OF_A_KEY else None,
        )


def _place(own: object, is_missing: bool, node: Node, place: Place) -> Place:
    """An unknown key is reported where it stands, a mapping at its key, all else at the value."""
    if not isinstance(node, MappingNode):
        return node.place
    return place if own is None or is_missing else node.keys.get(str(own), place)


def _causes(findings: Sequence[_Finding]) -> list[_Finding]:
    """Without those that follow from others: pydantic finds a tuple too short if its entries are wrong."""
    return [
        finding
        for finding in findings
        if not finding.is_of_broken_value
        and not (
            finding.kind == "too_short" and any(_is_below(other.path, finding.path) for other in findings)
        )
    ]


def _is_below(path: Path, other: Path) -> bool:
    return len(path) > len(other) and path[: len(other)] == other


def _joined(findings: Sequence[_Finding]) -> list[_Finding]:
    """Findings of alternatives made one: of those that went deepest, since the others never fitted."""
    by_branch: dict[Path, list[_Finding]] = defaultdict(list)
    for finding in findings:
        if finding.branch is not None:
            by_branch[finding.branch].append(finding)
    joined = [finding for finding in findings if finding.branch is None]
    for several in by_branch.values():
        deepest = max(len(finding.path) for finding in several)
        joined += _as_one([finding for finding in several if len(finding.path) == deepest])
    return joined


def _as_one(several: Sequence[_Finding]) -> list[_Finding]:
    by_path: dict[Path, list[_Finding]] = defaultdict(list)
    for finding in several:
        by_path[finding.path].append(finding)
    return [replace(same[0], message=wording.either([f.message for f in same])) for same in by_path.values()]
