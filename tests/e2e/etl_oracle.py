"""What config/etl.yaml must make of orders, told from what the shop meant by its texts.

Nothing is parsed here: a field knows what is meant by it, or which rule it breaks. What is clean, wrong, odd
or to be added up follows in plain Python, which knows nothing of the daemon, of stages or of conditions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

__all__ = [
    "BERLIN",
    "CUSTOMERS",
    "GONE",
    "PER_EURO",
    "PRODUCTS",
    "Books",
    "Document",
    "Field",
    "Order",
    "judged",
]

Document: TypeAlias = dict[str, Any]
Broken: TypeAlias = tuple[str, str]
"""Which rule, and the field or the place that its reason names."""

BERLIN: Final = ZoneInfo("Europe/Berlin")
PER_EURO: Final = {"EUR": Decimal(1), "USD": Decimal("1.0842"), "GBP": Decimal("0.8423")}
CUSTOMERS: Final[Mapping[int, Document]] = {
    number: {
        "name": f"Jo {number}",
        "tier": "gold" if number % 3 == 0 else "basic",
        "credit": {"limit": limit},
    }
    for number, limit in enumerate((40, 300, 2_000, 9_000, 50_000, 50_000), start=1)
}
PRODUCTS: Final[Mapping[str, Document]] = {
    f"AB-{number}": {"name": f"Mug {number}", "category": "xy"[number % 2], "most": most}
    for number, most in enumerate((20, 100, 500, 500), start=1)
}
GONE: Final = object()
"""The field is not there."""


@dataclass(frozen=True)
class Field:
    """A field of an order.

    Args:
        raw: What the old shop writes; `GONE` for nothing.
        means: What is meant, if it is sound.
        broken: Which rule it breaks, if it is not.
    """

    raw: Any
    means: Any = None
    broken: Broken | None = None


Order: TypeAlias = Mapping[str, Field]
"""By the old shop's name of the field."""


@dataclass(frozen=True)
class Verdict:
    """What becomes of an order.

    Args:
        clean: The clean order, without what depends on the event; None if it breaks a rule.
        broken: Which rules it breaks.
        warnings: Which rules warn, in their order.
    """

    clean: Document | None
    broken: frozenset[Broken]
    warnings: tuple[str, ...] = ()


def judged(key: int, revision: int, order: Order) -> Verdict:
    """What becomes of an order."""
    broken = frozenset(one.broken for one in order.values() if one.broken is not None)
    if broken:
        return Verdict(None, broken)
    means = {name: one.means for name, one in order.items()}
    total = means["unitPrice"] * means["qty"]
    total_eur = (total / PER_EURO[means["cur"]]).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    broken = frozenset(_broken_together(means, total_eur))
    if broken:
        return Verdict(None, broken)
    customer, product = CUSTOMERS[means["custId"]], PRODUCTS[means["sku"]]
    local = means["placed"].astimezone(BERLIN)
    size = next((label for below, label in _SIZES if total_eur < below), "huge")
    email, phone = means["contact"]
    by_size = "by hand" if size in {"large", "huge"} else "usual"
    clean = {
        "order_id": key,
        "revision": revision,
        "number": means["orderNo"],
        "customer_id": means["custId"],
        "sku": means["sku"],
        "quantity": means["qty"],
        "unit_price": means["unitPrice"],
        "currency": means["cur"],
        "status": means["state"],
        "ordered_at": means["placed"],
        "city": means["ship"],
        "email": email,
        "phone": phone,
        "total": total,
        "total_eur": total_eur,
        "size": size,
        "month": f"{local.year:04}-{local.month:02}",
        "weekday": local.isoweekday(),
        "hour": local.hour,
        "customer_name": customer["name"],
        "customer_tier": customer["tier"],
        "product_name": product["name"],
        "product_category": product["category"],
        "handling": "first" if customer["tier"] == "gold" else by_size,
    }
    is_open = local.weekday() < 5 and 8 <= local.hour < 18
    odd = {"reachable": email is None, "usual amount": total_eur > 5000, "in business hours": not is_open}
    return Verdict(clean, broken, tuple(name for name, is_odd in odd.items() if is_odd))


_SIZES: Final = ((50, "small"), (500, "medium"), (5000, "large"))


def _broken_together(means: Document, total_eur: Decimal) -> Iterator[Broken]:
    """Rules between orders and others."""
    customer, product = CUSTOMERS.get(means["custId"]), PRODUCTS.get(means["sku"])
    if customer is None:
        yield "known customer", "nothing is found in customers"
    elif means["state"] == "new" and total_eur > customer["credit"]["limit"]:
        yield "within credit", "document.total_eur lte customers.credit.limit"
    if means["sku"] is None:
        yield "can be ordered", "the event has no key in products"
    elif product is None:
        yield "can be ordered", "nothing is found in products"
    elif means["qty"] > product["most"]:
        yield "can be ordered", "document.quantity lte products.most"


@dataclass
class Books:
    """What the shop did, and what must come of it.

    Args:
        clean: The clean orders by their key: what was right last.
        verdicts: What becomes of each state, by its revision.
        operations: How each state came about; those that were there before are read.
        deleted: How often each order was deleted.
    """

    clean: dict[int, Document] = field(default_factory=dict)
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    operations: dict[int, str] = field(default_factory=dict)
    deleted: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def parked(self) -> set[int]:
        """Revisions of the states that break a rule."""
        return {revision for revision, verdict in self.verdicts.items() if verdict.broken}

    @property
    def carried(self) -> set[int]:
        """Those of the others."""
        return set(self.verdicts) - self.parked

    def totals(self) -> dict[tuple[str, str], Document]:
        """The clean orders, added up."""
        groups: dict[tuple[str, str], list[Document]] = defaultdict(list)
        for order in self.clean.values():
            groups[order["status"], order["month"]].append(order)
        return {group: _added_up(orders) for group, orders in groups.items()}


def _added_up(orders: list[Document]) -> Document:
    amounts = [order["total_eur"] for order in orders]
    return {
        "orders": len(orders),
        "revenue": sum(amounts),
        "mean": (sum(amounts) / len(amounts)).quantize(Decimal("1E-9")),
        "least": min(amounts),
        "most": max(amounts),
        "products": sorted({order["sku"] for order in orders}),
    }
