"""What users write under ``source`` for an API."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, HttpUrl, SecretStr, StringConstraints, model_validator

from eventbus.sdk import Duration, Options

__all__ = ["HttpSourceOptions"]

_Name = Annotated[str, Field(min_length=1)]


def _one_line(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().isprintable():
        raise ValueError("must be one line, without tabs and the like: is there an end of line in the file?")
    return secret


_HeaderName = Annotated[str, StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
_HeaderValue = Annotated[SecretStr, AfterValidator(_one_line)]


class HttpSourceOptions(Options):
    """A JSON API that gives items in the order of a field that only grows."""

    url: HttpUrl
    """Address of the list of items, without user and password; parameters in it are sent as well."""
    order_by: _Name
    """Path in an item of the field that grows with each change: a time, or a number."""
    order: Literal["time", "number"] = "time"
    """What that field is: a time of RFC 3339, or a whole number that is not negative."""
    key: _Name = "id"
    """Path in an item of what names it."""
    items: str = ""
    """Path in an answer of the list of items; empty if the answer is the list."""
    since_parameter: _Name = "since"
    """Parameter from which on items are wanted, those at that very place included."""
    size_parameter: str = ""
    """Parameter that says how many items a page may have; empty if there is none."""
    page_size: int = Field(default=100, ge=1, le=10_000)
    """How many items a page may have, where there is a parameter for it."""
    next_link: str = ""
    """Path in an answer of the address of the next page; a ``Link`` header of ``rel="next"`` needs none."""
    next_cursor: str = ""
    """Path in an answer of the cursor of the next page."""
    cursor_parameter: _Name = "cursor"
    """Parameter in which a cursor is given back."""
    poll_every: Duration = Field(default=5.0, gt=0)
    """How long to wait before the API is asked again, when it had nothing new."""
    settle: Duration = Field(default=2.0, ge=0)
    """How old a time must be, by the API's clock, before it is read: later ones may still get neighbours."""
    timeout: Duration = Field(default=30.0, gt=0)
    """How long one request may take."""
    token: _HeaderValue | None = None
    """Sent as ``Authorization: Bearer``."""
    headers: dict[_HeaderName, _HeaderValue] = Field(default_factory=dict)
    """Further headers of each request."""
    database: _Name = "http"
    """The database that events name."""
    collection: _Name = "items"
    """The collection that events name."""

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        if self.next_link and self.next_cursor:
            raise ValueError("next_link and next_cursor are two ways to the next page: leave one out")
        if self.url.username or self.url.password:
            raise ValueError("url holds a user or a password: put them into token or headers")
        return self
