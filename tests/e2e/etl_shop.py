"""An old shop at work: orders at random, each field in one of the ways in which people write it, or broken.

Each is written from a value that is known, so nobody need parse what is written to say what is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from bson import Decimal128
from pymongo.database import Database

from tests.e2e.etl_oracle import (
    BERLIN,
    CUSTOMERS,
    GONE,
    PER_EURO,
    PRODUCTS,
    Books,
    Document,
    Field,
    Order,
    judged,
)

__all__ = ["OldShop"]


class OldShop:
    """Writes orders at random, to a real database, and keeps books.

    Args:
        database: The shop's.
        rng: Decides what is done.
    """

    def __init__(self, database: Database[Document], rng: Random) -> None:
        self._database = database
        self._fields = _Fields(rng)
        self._rng = rng
        self._orders: dict[int, Order] = {}
        self._free: list[int] = []
        self._revision = self._last_key = 0
        self._is_watched = False
        self.books = Books()
        database.create_collection("orders", changeStreamPreAndPostImages={"enabled": True})
        database.customers.insert_many([{"_id": key, **rest} for key, rest in CUSTOMERS.items()])
        database.products.insert_many([{"sku": sku, **rest} for sku, rest in PRODUCTS.items()])

    def open(self, count: int) -> None:
        """Have so many orders before anybody looks."""
        for _ in range(count):
            self._insert()
        self._is_watched = True

    def work(self, count: int) -> None:
        """Do so many things."""
        things = [*[self._insert] * 3, *[self._update] * 10, self._replace, self._delete]
        for _ in range(count):
            self._rng.choice(things)()

    def _insert(self) -> None:
        """A new order; sometimes under the key of one that was deleted."""
        if self._free and self._rng.random() < 0.5:
            key = self._free.pop()
        else:
            key = self._last_key = self._last_key + 1
        order = self._fields.all()
        raw = self._taken(key, "insert", order)
        self._database.orders.insert_one({"_id": key, **raw})

    def _update(self) -> None:
        """Some fields are set or removed; what is broken is often mended."""
        key = self._some()
        if key is None:
            return
        order = self._orders[key]
        names = set(self._rng.sample(list(order), self._rng.randrange(1, 4)))
        names |= {name for name, one in order.items() if one.broken is not None and self._rng.random() < 0.5}
        fresh = {name: self._fields.one(name) for name in sorted(names)}
        raw = self._taken(key, "update", {**order, **fresh})
        update = {"$set": {name: raw[name] for name in [*fresh, "rev"] if name in raw}}
        gone = {name: "" for name in fresh if name not in raw}
        self._database.orders.update_one({"_id": key}, update | ({"$unset": gone} if gone else {}))

    def _replace(self) -> None:
        key = self._some()
        if key is not None:
            self._database.orders.replace_one({"_id": key}, self._taken(key, "replace", self._fields.all()))

    def _delete(self) -> None:
        key = self._some()
        if key is not None:
            del self._orders[key]
            self.books.clean.pop(key, None)
            self.books.deleted[key] += 1
            self._free.append(key)
            self._database.orders.delete_one({"_id": key})

    def _taken(self, key: int, operation: str, order: Order) -> Document:
        """Note what must come of an order as it is now; how the old shop writes it."""
        self._revision += 1
        revision, verdict = self._revision, judged(key, self._revision, order)
        self._orders[key] = order
        self.books.verdicts[revision] = verdict
        self.books.operations[revision] = operation if self._is_watched else "read"
        if verdict.clean is not None:
            self.books.clean[key] = verdict.clean
        raw = {name: one.raw for name, one in order.items() if one.raw is not GONE}
        return {**raw, "rev": revision}

    def _some(self) -> int | None:
        return self._rng.choice(list(self._orders)) if self._orders else None


class _Fields:
    """Fields of orders, sound or broken.

    Args:
        rng: Decides how.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._makers: Mapping[str, Callable[[], Field]] = {
            "orderNo": self._number,
            "custId": self._customer,
            "sku": self._sku,
            "qty": self._quantity,
            "unitPrice": self._price,
            "cur": self._currency,
            "state": self._status,
            "placed": self._placed,
            "ship": self._city,
            "contact": self._contact,
        }

    def all(self) -> Order:
        """Those of a new order."""
        return {name: self.one(name) for name in self._makers}

    def one(self, name: str) -> Field:
        """A new value of a field."""
        rule, path, raws = _BROKEN.get(name, ("", "", ()))
        if raws and self._rng.random() < 0.015:
            return Field(self._rng.choice(raws), broken=(rule, path))
        return self._makers[name]()

    def _written(self, text: str) -> str:
        """As people write: in whatever letters, with blanks around."""
        return self._rng.choice([text, text.lower(), f"  {text}", f"{text.title()} "])

    def _number(self) -> Field:
        number = f"{self._rng.choice('ABC')}-{self._rng.randrange(100_000):05}"
        return Field(self._written(number), number)

    def _customer(self) -> Field:
        number = 99 if self._rng.random() < 0.02 else self._rng.choice(list(CUSTOMERS))
        return Field(self._rng.choice([number, str(number), float(number)]), number)

    def _sku(self) -> Field:
        if self._rng.random() < 0.03:
            return self._rng.choice([Field("zz-1", "ZZ-1"), Field(GONE), Field(None)])
        sku = self._rng.choice(list(PRODUCTS))
        return Field(self._written(sku), sku)

    def _quantity(self) -> Field:
        number = self._rng.choice([1, 2, 5, 20, self._rng.randrange(1, 120)])
        return Field(self._rng.choice([number, f" {number} ", float(number)]), number)

    def _price(self) -> Field:
        price = Decimal(self._rng.randrange(1, 30_000)) / 100
        return Field(self._rng.choice([str(price), f"{price:.2f}", float(price), Decimal128(price)]), price)

    def _currency(self) -> Field:
        code = self._rng.choice(list(PER_EURO))
        return Field(self._written(code), code)

    def _status(self) -> Field:
        status = self._rng.choice(["new", "paid", "shipped", "cancelled"])
        return Field(self._written(status.upper()), status)

    def _placed(self) -> Field:
        """A minute of four months, often at the end of one; no hour of them comes twice."""
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=self._rng.randrange(60 * 24 * 120))
        if self._rng.random() < 0.2:
            moment = datetime(2026, self._rng.randrange(2, 5), 1, tzinfo=UTC) - timedelta(minutes=30)
        local = moment.astimezone(BERLIN)
        raws = [local.strftime("%d.%m.%Y %H:%M"), moment.isoformat(), local.isoformat(), moment]
        return Field(self._rng.choice(raws), moment)

    def _city(self) -> Field:
        raws: list[Field] = [
            Field({"city": " bad   homburg ", "zip": "1"}, "Bad Homburg"),
            Field({"city": "KÖLN"}, "Köln"),
            Field({"zip": "1"}),
            Field(GONE),
        ]
        return self._rng.choice(raws)

    def _contact(self) -> Field:
        mail = ("jo@example.com", None)
        raws: list[Field] = [
            *[Field("Jo@Example.COM", mail)] * 3,
            Field("mail to <JO@example.com>, or 030 1234567", ("jo@example.com", "+49301234567")),
            Field("call +49 170 7654321", (None, "+491707654321")),
            Field("by letter", (None, None)),
            Field(7, (None, None)),
            Field(GONE, (None, None)),
        ]
        return self._rng.choice(raws)


_BROKEN: Final[Mapping[str, tuple[str, str, tuple[Any, ...]]]] = {
    "orderNo": ("has a number", "number", (GONE, None, "17", "A-123456", 17)),
    "custId": ("has a customer", "customer_id", (GONE, None, "Jo", 1.5)),
    "qty": ("sane quantity", "quantity", (GONE, None, "many", 0, "501", 2.5)),
    "unitPrice": ("sane price", "unit_price", (GONE, None, "cheap", 0, "-1.50")),
    "cur": ("known currency", "currency", (GONE, None, "XYZ", 978)),
    "state": ("known status", "status", (GONE, None, "lost", 3)),
    "placed": ("has a date", "ordered_at", (GONE, None, "some day", "31.02.2026 10:00", "01.01.1999 10:00")),
}
"""By field: the rule that is broken, the field that its reason names, and how."""
