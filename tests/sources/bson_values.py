"""Random values and documents of every type that BSON has and the driver can write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from hypothesis import strategies as st

from tests.sources.watching import Document

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

TEXTS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)
NAMES = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0$."), min_size=1, max_size=12
)
"""Names that an update may set by path, too."""

SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**31), 2**31 - 1).map(Int64),
    st.floats(),
    st.sampled_from(["NaN", "-NaN", "Infinity", "-0", "1E+6144", "1.10", "12345678901234567890"]).map(
        Decimal128
    ),
    TEXTS,
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.integers(-(10**14), 10**14).map(lambda ms: _EPOCH + timedelta(milliseconds=ms // 4)),
    st.builds(Binary, st.binary(max_size=20), st.sampled_from([0, 1, 5, 6, 128, 255])),
    st.binary(min_size=16, max_size=16).map(lambda raw: Binary(raw, 4)),
    st.builds(Regex, NAMES, st.sampled_from(["", "i", "imsx"])),
    st.builds(Code, TEXTS),
    st.builds(Code, TEXTS, st.dictionaries(NAMES, st.integers(0, 9), max_size=2)),
    st.builds(Timestamp, st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1)),
    st.builds(DBRef, NAMES, st.integers(0, 9)),
    st.just(MinKey()),
    st.just(MaxKey()),
)

VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)

DOCUMENTS: st.SearchStrategy[Document] = st.dictionaries(NAMES, VALUES, max_size=6)
