"""The shop: what happens next in it, decided from a seed. No I/O, and the same seed gives the same shop.

A shop is one writer's world. It has products with prices and stock, customers, orders that go from pending
over confirmed, processing and shipped to delivered (or are cancelled), and their payments. Documents belong
to one shop, so the order of a document's changes is the order in which its shop decided them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, Final, TypeAlias

from bson import Decimal128, ObjectId

__all__ = ["COLLECTIONS", "Shop", "Step", "Write"]

COLLECTIONS: Final = ("orders", "products", "customers", "payments")

_PRODUCTS: Final = 6
_CUSTOMERS: Final = 5
_OPEN_ORDERS: Final = 20
_STOCK: Final = 500
_CATEGORIES: Final = ("audio", "books", "garden", "kitchen", "outdoor", "toys")
_BRANDS: Final = ("Alder", "Brook", "Cedar", "Dune")
_METHODS: Final = ("card", "paypal", "invoice")
_CARRIERS: Final = ("DHL", "UPS", "GLS")
_TIERS: Final = ("bronze", "silver", "gold")

Fields: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Write:
    """One change to one document.

    Args:
        collection: Where.
        operation: insert, update, replace or delete.
        document_id: The ``_id``.
        rev: What number of the document's changes it is; for a delete, one more than the last.
        document: The whole document, of an insert or a replace.
        changed: New values by path, of an update.
        removed: Paths that an update removes.
    """

    collection: str
    operation: str
    document_id: Any
    rev: int
    document: Mapping[str, Any] = field(default_factory=dict)
    changed: Mapping[str, Any] = field(default_factory=dict)
    removed: Sequence[str] = ()


Step: TypeAlias = tuple[Write, ...]
"""What happens at once: several writes are one transaction."""


class _Document:
    """What a shop remembers of a document: its id, how often it changed, and what later steps depend on."""

    __slots__ = ("collection", "facts", "id", "rev")

    def __init__(self, collection: str, document_id: Any, **facts: Any) -> None:
        self.collection = collection
        self.id = document_id
        self.rev = 0
        self.facts = facts

    def insert(self, document: Fields) -> Write:
        return self._whole("insert", {**document, "created_at": _now()})

    def replace(self, document: Fields) -> Write:
        return self._whole("replace", {**document, "updated_at": _now()})

    def update(self, changed: Fields, removed: Sequence[str] = ()) -> Write:
        rev = self._next_rev()
        changed = {**changed, "updated_at": _now(), "rev": rev}
        return Write(self.collection, "update", self.id, rev, changed=changed, removed=removed)

    def delete(self) -> Write:
        return Write(self.collection, "delete", self.id, self._next_rev())

    def _whole(self, operation: str, document: Fields) -> Write:
        rev = self._next_rev()
        document = {"_id": self.id, **document, "rev": rev}
        return Write(self.collection, operation, self.id, rev, document=document)

    def _next_rev(self) -> int:
        self.rev += 1
        return self.rev


class Shop:
    """Decides what happens next.

    Args:
        seed: Two shops of one seed and number decide the same.
        number: Which shop it is; ids of two shops of one run never meet.
        hot_share: Share of steps, of 0 to 1, that are a stock movement of one and the same product.
    """

    def __init__(self, seed: int, number: int, *, hot_share: float = 0.2) -> None:
        self._rng = Random(f"{seed}/{number}")
        self._name = f"{seed:x}-{number}"
        self._hot_share = hot_share
        self._serial = 0
        self._products: list[_Document] = []
        self._customers: list[_Document] = []
        self._orders: list[_Document] = []
        actions: dict[Callable[[], Step | None], int] = {
            self._place_order: 14,
            self._advance_order: 60,
            self._move_stock: 8,
            self._change_price: 6,
            self._relist_product: 3,
            self._retire_product: 1,
            self._see_customer: 5,
            self._replace_profile: 2,
            self._forget_customer: 1,
        }
        self._actions, self._weights = list(actions), list(actions.values())

    def next_step(self) -> Step:
        """Decide one step; the shop takes it as done."""
        if len(self._products) < _PRODUCTS:
            return self._list_product()
        if len(self._customers) < _CUSTOMERS:
            return self._welcome_customer()
        if self._rng.random() < self._hot_share:
            return self._restock(self._products[0])
        while True:
            (action,) = self._rng.choices(self._actions, self._weights)
            if step := action():
                return step

    def _place_order(self) -> Step | None:
        if len(self._orders) >= _OPEN_ORDERS:
            return None
        product = self._rng.choice(self._products)
        quantity = self._rng.randint(1, 4)
        if product.facts["stock"] < quantity:
            return self._restock(product)
        customer = self._rng.choice(self._customers)
        order = _Document("orders", ObjectId(self._rng.randbytes(12)), status="pending")
        number = self._number("ORD")
        payment = _Document("payments", f"pay_{self._rng.randbytes(8).hex()}")
        order.facts |= {"payment": payment, "product": product, "quantity": quantity}
        self._orders.append(order)
        total = product.facts["cents"] * quantity
        method = self._rng.choice(_METHODS)
        item = {"sku": product.id, "quantity": quantity, "price": _money(product.facts["cents"])}
        return (
            order.insert(
                {
                    "orderNumber": number,
                    "status": "pending",
                    "priority": self._rng.choice(("normal", "normal", "high")),
                    "customer": {"customerId": customer.id, "email": customer.facts["email"]},
                    "items": [item],
                    "totals": {"grandTotal": _money(total)},
                    "payment": {"status": "authorized", "method": method},
                    "shipping": {"estimate": "3 days"},
                }
            ),
            payment.insert(
                {"orderId": order.id, "amount": _money(total), "method": method, "status": "authorized"}
            ),
            self._take_stock(product, -quantity),
        )

    def _advance_order(self) -> Step | None:
        if not self._orders:
            return None
        order = self._rng.choice(self._orders)
        match order.facts["status"]:
            case "pending":
                return self._cancel(order) if self._rng.random() < 0.15 else self._confirm(order)
            case "confirmed":
                return (self._to(order, "processing"),)
            case "processing":
                tracking = f"{self._rng.choice(_CARRIERS)}{self._rng.randrange(10**9):09d}"
                return (self._to(order, "shipped", {"shipping.trackingNumber": tracking}),)
            case "shipped":
                done = {"shipping.deliveredAt": _now()}
                return (self._to(order, "delivered", done, removed=("shipping.estimate",)),)
            case _:
                return self._archive(order)

    def _confirm(self, order: _Document) -> Step:
        payment: _Document = order.facts["payment"]
        return (
            payment.update({"status": "captured"}),
            self._to(order, "confirmed", {"payment.status": "captured"}),
        )

    def _cancel(self, order: _Document) -> Step:
        payment: _Document = order.facts["payment"]
        product: _Document = order.facts["product"]
        step = (
            self._to(order, "cancelled", {"payment.status": "failed"}),
            payment.update({"status": "failed", "reason": "declined"}),
        )
        if product not in self._products:  # retired meanwhile: there is no stock to give back to
            return step
        return (*step, self._take_stock(product, order.facts["quantity"]))

    def _archive(self, order: _Document) -> Step:
        self._orders.remove(order)
        payment: _Document = order.facts["payment"]
        return (order.delete(), payment.delete())

    def _move_stock(self) -> Step:
        return self._restock(self._rng.choice(self._products))

    def _restock(self, product: _Document) -> Step:
        return (self._take_stock(product, self._rng.randint(1, 20)),)

    def _change_price(self) -> Step:
        product = self._rng.choice(self._products)
        product.facts["cents"] = max(100, round(product.facts["cents"] * self._rng.uniform(0.8, 1.2)))
        return (product.update({"price": _money(product.facts["cents"])}),)

    def _relist_product(self) -> Step:
        product = self._rng.choice(self._products)
        return (product.replace(self._catalogue_entry(product)),)

    def _retire_product(self) -> Step:
        """Two changes of one document in one transaction: both must come, and in this order."""
        product = self._products.pop(self._rng.randrange(1, len(self._products)))
        return (product.update({"status": "discontinued", "inventory_count": 0}), product.delete())

    def _list_product(self) -> Step:
        facts = {"stock": _STOCK, "cents": self._rng.randint(500, 50_000)}
        facts["category"] = self._rng.randrange(len(_CATEGORIES))
        product = _Document("products", self._number("SKU"), **facts)
        self._products.append(product)
        return (product.insert(self._catalogue_entry(product)),)

    def _catalogue_entry(self, product: _Document) -> Fields:
        category = _CATEGORIES[product.facts["category"]]
        brand = self._rng.choice(_BRANDS)
        return {
            "sku": product.id,
            "name": f"{brand} {category} item",
            "category": category,
            "brand": brand,
            "price": _money(product.facts["cents"]),
            "inventory_count": product.facts["stock"],
            "status": "active",
        }

    def _see_customer(self) -> Step:
        customer = self._rng.choice(self._customers)
        if self._rng.random() < 0.5:
            return (customer.update({"lastLogin": _now()}),)
        return (customer.update({"tier": self._rng.choice(_TIERS)}),)

    def _replace_profile(self) -> Step:
        customer = self._rng.choice(self._customers)
        return (customer.replace(self._profile(customer)),)

    def _welcome_customer(self) -> Step:
        number = self._number("CUST")
        customer = _Document("customers", number, email=f"{number.lower()}@example.com")
        self._customers.append(customer)
        return (customer.insert(self._profile(customer)),)

    def _profile(self, customer: _Document) -> Fields:
        return {"email": customer.facts["email"], "tier": self._rng.choice(_TIERS), "status": "active"}

    def _forget_customer(self) -> Step:
        return (self._customers.pop(self._rng.randrange(len(self._customers))).delete(),)

    def _take_stock(self, product: _Document, delta: int) -> Write:
        product.facts["stock"] += delta
        return product.update({"inventory_count": product.facts["stock"]})

    def _to(
        self, order: _Document, status: str, changed: Fields | None = None, removed: Sequence[str] = ()
    ) -> Write:
        order.facts["status"] = status
        return order.update({"status": status, **(changed or {})}, removed)

    def _number(self, kind: str) -> str:
        self._serial += 1
        return f"{kind}-{self._name}-{self._serial:05d}"


def _money(cents: int) -> Decimal128:
    return Decimal128(f"{cents // 100}.{cents % 100:02d}")


def _now() -> datetime:
    return datetime.now(UTC)
