"""A shop at work, and what each of its services must hear: told from what the shop did, not from any event.

It knows nothing of the daemon, of conditions or of stages: every expectation is plain Python over the
documents before and after, and the paths that were set or removed.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

from pymongo.database import Database

Document: TypeAlias = dict[str, Any]
Body: TypeAlias = dict[str, Any]

PRODUCTS, ORDERS, CUSTOMERS, INVENTORY = "products", "orders", "customers", "inventory"
SIGNIFICANT: Mapping[str, Sequence[str]] = {
    PRODUCTS: ("status", "price", "inventory_count", "name", "category", "availability"),
    ORDERS: (
        *("status", "payment.status", "shipping.trackingNumber"),
        *("shipping.status", "shipping.actualDelivery"),
    ),
    CUSTOMERS: ("email", "tier", "preferences", "status"),
    INVENTORY: ("quantity",),
}
_MISSING = object()


@dataclass(frozen=True)
class Change:
    """What the shop did to one document.

    Args:
        collection: Where.
        operation: insert, update, replace or delete.
        key: Its ``_id``.
        before: The document before; None of an insert.
        after: The document after; None of a delete.
        set_paths: The paths that an update set to another value.
        removed: The paths that it removed.
    """

    collection: str
    operation: str
    key: int
    before: Document | None
    after: Document | None
    set_paths: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def touches(self, path: str) -> bool:
        """Whether an update set or removed something at a path, below it or above it."""
        return any(_related(path, other) for other in (*self.set_paths, *self.removed))

    def sets(self, path: str) -> bool:
        """The same, of what was set."""
        return any(_related(path, other) for other in self.set_paths)


def _related(one: str, other: str) -> bool:
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


@dataclass
class Expected:
    """What must arrive.

    Args:
        bodies: By receiver and key of the document: bodies without their ids, in their order.
        stale: Keys of caches that must be gone.
        stale_patterns: What the keys begin with that must be gone as well.
    """

    bodies: dict[str, dict[int, list[Body]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    stale: set[str] = field(default_factory=set)
    stale_patterns: set[str] = field(default_factory=set)

    @property
    def told(self) -> dict[str, dict[int, list[Body]]]:
        """All bodies, to be compared."""
        return {receiver: dict(keys) for receiver, keys in self.bodies.items()}

    @property
    def count(self) -> int:
        """How many messages there are."""
        return sum(len(bodies) for keys in self.bodies.values() for bodies in keys.values())

    def tell(self, receiver: str, key: int, body: Body) -> None:
        """A receiver hears something of a document."""
        self.bodies[receiver][key].append(body)

    def take(self, change: Change) -> None:
        """Everything that follows from a change."""
        _RULES[change.collection](self, change)
        _incidents(self, change)


def _at(document: Document | None, path: str) -> Any:
    value: Any = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _matters(change: Change) -> bool:
    if change.operation != "update":
        return True
    return any(change.touches(path) for path in SIGNIFICANT[change.collection])


def _products(expected: Expected, change: Change) -> None:
    if not _matters(change):
        return
    before, after = change.before or {}, change.after or {}
    if change.operation == "delete":
        severity = "critical"
    elif change.touches("status"):
        severity = "high"
    elif change.sets("price") or change.sets("inventory_count"):
        severity = "medium"
    else:
        severity = "low"
    head = {"operation": change.operation, "severity": severity, "product": change.key}
    price = stock = status = changes = None
    if change.sets("price"):
        price = {"old": before["price"], "new": after["price"]}
    if change.sets("inventory_count"):
        old, new = before["inventory_count"], after["inventory_count"]
        stock = {"old": old, "new": new, "delta": new - old}
    if change.sets("status"):
        old, new = before["status"], after["status"]
        status = {"old": old, "new": new, "activated": new == "active", "deactivated": old == "active"}
    if change.operation == "update":
        changes = {
            "fields": sorted(change.set_paths),
            "removed": list(change.removed),
            "count": len(change.set_paths) + len(change.removed),
        }
    current = {"current": after.get("inventory_count"), "low_below": after.get("low_stock_threshold")}
    expected.tell("inventory", change.key, {**head, "stock": {"change": stock, **current}})
    details: Body = {"changes": changes, "price": price, "stock": stock, "status": status}
    documents: Body = {"document": change.after, "before": change.before}
    expected.tell("catalog", change.key, {**head, **details, **documents})
    entry = None
    if change.after is not None:
        entry = {name: after.get(name, "") for name in ("name", "description", "category")}
        entry |= {"tags": after.get("tags", []), "searchable": after.get("status") == "active"}
    index = "remove" if change.operation == "delete" else "upsert"
    expected.tell("search", change.key, {"operation": index, "product": change.key, "entry": entry})
    expected.stale |= {f"product:{change.key}", "products:featured"}
    for document in (before, after):
        if "category" in document:
            expected.stale.add(f"products:category:{document['category']}")
    expected.stale_patterns.add("products:search:")


def _orders(expected: Expected, change: Change) -> None:
    if change.operation not in {"insert", "update"} or not _matters(change):
        return
    after = change.after or {}
    is_new = change.operation == "insert"
    new_status = after["status"] if change.sets("status") else None
    new_payment = _at(after, "payment.status") if change.sets("payment.status") else None
    if is_new:
        kind, notice = "order_created", "order_confirmation"
    elif new_status is not None:
        kind = "order_status_changed"
        notice = {"shipped": "order_shipped", "delivered": "order_delivered"}.get(new_status, "order_update")
    elif new_payment is not None:
        kind, notice = "payment_status_changed", "payment_update"
    elif change.sets("shipping"):
        kind, notice = "shipping_updated", "general_update"
    else:
        kind = notice = ""
        raise AssertionError("the shop changes nothing else of orders")
    if new_status == "cancelled":
        urgency = "high"
    elif new_payment == "failed" or new_status == "processing":
        urgency = "medium"
    else:
        urgency = "normal"
    number, total, state = after["orderNumber"], after["totals"]["grandTotal"], after["status"]
    order = {"id": change.key, "number": number, "status": state, "total": total}
    status = payment = None
    if new_status is not None:
        status = {"from": _at(change.before, "status"), "to": new_status}
    if new_payment is not None:
        payment = {
            "from": _at(change.before, "payment.status"),
            "to": new_payment,
            "method": _at(after, "payment.method") or "",
        }
    body: Body = {"type": kind, "urgency": urgency, "order": {**order, "items": len(after.get("items", []))}}
    body |= {"status": status, "payment": payment}
    customer = after["customer"]
    expected.tell("fulfilment", change.key, body)
    data = {"order": change.key, "number": number, "status": state, "total": total}
    recipient = {"email": customer["email"], "name": customer["name"]}
    expected.tell(
        "notifications",
        change.key,
        {"template": notice, "priority": urgency, "recipient": recipient, "data": data},
    )
    if new_payment is not None:
        expected.tell("payments", change.key, body)
    if not is_new and change.sets("shipping"):
        expected.tell("shipping", change.key, body)
        expected.tell("tracking", change.key, body)
    if urgency == "high":
        expected.tell("alerts", change.key, body)
    expected.stale |= {f"order:{change.key}", f"customer:{customer['customerId']}:orders"}


def _customers(expected: Expected, change: Change) -> None:
    if change.operation not in {"insert", "update"} or not _matters(change):
        return
    after = change.after or {}
    body = {"customer": change.key, "is_new": change.operation == "insert"}
    data = {name: after.get(name) for name in ("email", "name", "tier", "status")}
    for receiver in ("profiles", "marketing"):
        expected.tell(receiver, change.key, {**body, "data": data})
    hidden = {"email": "<a token>", "name": "".join("*" if one.isalnum() else one for one in after["name"])}
    expected.tell("analytics", change.key, {**body, "data": {**data, **hidden}})


def _stock(expected: Expected, change: Change) -> None:
    if change.operation == "delete" or not _matters(change):
        return
    after, before = change.after or {}, change.before
    quantity = after["quantity"]
    level = "out_of_stock" if quantity <= 0 else "low_stock" if quantity < 10 else "in_stock"
    delta = None if before is None else quantity - before["quantity"]
    body = {"item": change.key, "product": after["productId"], "level": level, "quantity": quantity}
    body |= {"delta": delta}
    for receiver in ("warehouse", "reporting", *(["alerts"] if level != "in_stock" else [])):
        expected.tell(receiver, change.key, body)


def _incidents(expected: Expected, change: Change) -> None:
    """What the stream across collections makes of it."""
    after, key = change.after or {}, change.key
    if change.operation == "delete":
        return
    if change.collection == ORDERS and change.operation == "insert":
        for place, item in enumerate(after["items"]):
            body = {"incident": "new_order_created", "order": key, "place": place, "reserve": item}
            expected.tell("inventory", key, body)
    if change.collection == INVENTORY and after["quantity"] < 10:
        if change.operation == "update" and not change.touches("quantity"):
            return
        name = "out_of_stock_alert" if after["quantity"] <= 0 else "low_stock_alert"
        body = {"incident": name, "item": key, "product": after["productId"], "quantity": after["quantity"]}
        expected.tell("purchasing", key, body)
    if change.collection == PRODUCTS and change.sets("status") and after["status"] == "discontinued":
        expected.tell("fulfilment", key, {"incident": "product_discontinued", "product": key})


_RULES: Mapping[str, Callable[[Expected, Change], None]] = {
    PRODUCTS: _products,
    ORDERS: _orders,
    CUSTOMERS: _customers,
    INVENTORY: _stock,
}


class Shop:
    """Does things at random, to a real database, and keeps its own books.

    Args:
        database: The shop's.
        rng: Decides what is done.
    """

    def __init__(self, database: Database[Document], rng: Random) -> None:
        self._database = database
        self._rng = rng
        self._documents: dict[str, dict[int, Document]] = {
            name: {} for name in (PRODUCTS, ORDERS, CUSTOMERS, INVENTORY)
        }
        self._next = 1
        self.expected = Expected()
        for name in self._documents:
            database.create_collection(name, changeStreamPreAndPostImages={"enabled": True})

    def work(self, count: int) -> None:
        """Do so many things."""
        things = [self._insert, self._insert, *[self._update] * 10, self._replace, self._delete]
        for _ in range(count):
            self._rng.choice(things)(self._rng.choice(list(self._documents)))

    def _insert(self, collection: str) -> None:
        key, self._next = self._next, self._next + 1
        document = {"_id": key, **self._new(collection)}
        self._database[collection].insert_one(copy.deepcopy(document))
        self._documents[collection][key] = document
        self._note(Change(collection, "insert", key, None, document))

    def _update(self, collection: str) -> None:
        """One to three paths are set, and sometimes one removed; what has that value already is not set."""
        key = self._some(collection)
        if key is None:
            return
        before = self._documents[collection][key]
        after = copy.deepcopy(before)
        written, removed = self._written(collection), self._removed(collection)
        _apply(after, written, removed)
        self._database[collection].update_one(
            {"_id": key}, {"$set": written, **({"$unset": dict.fromkeys(removed, "")} if removed else {})}
        )
        set_paths = tuple(path for path, value in written.items() if _found(before, path) != value)
        gone = tuple(path for path in removed if _found(before, path) is not _MISSING)
        if set_paths or gone:
            self._documents[collection][key] = after
            self._note(Change(collection, "update", key, before, after, set_paths, gone))

    def _replace(self, collection: str) -> None:
        key = self._some(collection)
        if key is None:
            return
        before = self._documents[collection][key]
        after = {"_id": key, **self._new(collection), "replaced": self._next}
        self._next += 1
        self._database[collection].replace_one({"_id": key}, copy.deepcopy(after))
        self._documents[collection][key] = after
        self._note(Change(collection, "replace", key, before, after))

    def _delete(self, collection: str) -> None:
        key = self._some(collection)
        if key is not None:
            before = self._documents[collection].pop(key)
            self._database[collection].delete_one({"_id": key})
            self._note(Change(collection, "delete", key, before, None))

    def _note(self, change: Change) -> None:
        self.expected.take(change)

    def _some(self, collection: str) -> int | None:
        keys = list(self._documents[collection])
        return self._rng.choice(keys) if keys else None

    def _new(self, collection: str) -> Document:
        choose = self._rng.choice
        number = self._rng.randrange(1, 50)
        match collection:
            case "products":
                kept = {"description": "warm", "tags": ["new"]} if choose([True, False]) else {}
                return {
                    "name": f"mug {number}",
                    "category": choose("abc"),
                    "price": number + 0.5,
                    "inventory_count": number,
                    "status": choose(["active", "draft"]),
                    "low_stock_threshold": 5,
                    "availability": True,
                    "views": 0,
                    **kept,
                }
            case "orders":
                customer = {"customerId": number, "email": f"{number}@example.com", "name": f"Jo {number}"}
                return {
                    "orderNumber": f"N{number}",
                    "status": "new",
                    "customer": customer,
                    "note": "",
                    "items": [{"sku": sku, "count": number} for sku in "abc"[: number % 4]],
                    "totals": {"grandTotal": number * 2},
                    "payment": {"status": "open", "method": choose(["card", "cash"])},
                    "shipping": {"status": "none"},
                }
            case "customers":
                who = {"email": f"{number}@example.com", "name": f"Jo {number}", "visits": 0}
                return {**who, "tier": "basic", "status": "active", "preferences": {"news": True}}
            case _:
                return {"productId": number, "quantity": self._rng.randrange(40), "shelf": "1"}

    def _written(self, collection: str) -> Document:
        """Paths and values of an update; of orders not both a part of an object and the whole."""
        choose, number = self._rng.choice, self._rng.randrange(1, 50)
        match collection:
            case "products":
                pool: Document = {
                    "price": number + 0.5,
                    "inventory_count": number,
                    "name": f"cup {number}",
                    "status": choose(["active", "draft", "discontinued"]),
                    "category": choose("abc"),
                    "views": number,
                    "tags": ["a", "b"][: number % 3],
                }
            case "orders":
                whole: Document = {"status": choose(["paid", "failed"]), "method": "card"}
                payment: Document = choose(
                    [{"payment": whole}, {"payment.status": choose(["paid", "failed"])}]
                )
                states = ["processing", "shipped", "delivered", "cancelled"]
                pool = {
                    "status": choose(states),
                    "note": str(number),
                    **payment,
                    "shipping.trackingNumber": f"T{number}",
                    "shipping.status": choose(["packed", "sent"]),
                }
            case "customers":
                pool = {
                    "tier": choose(["gold", "basic"]),
                    "preferences.news": choose([True, False]),
                    "visits": number,
                    "email": f"{number}@example.com",
                    "status": choose(["active", "gone"]),
                }
            case _:
                pool = {"quantity": self._rng.randrange(40), "shelf": str(number)}
        return {path: pool[path] for path in self._rng.sample(list(pool), min(len(pool), number % 3 + 1))}

    def _removed(self, collection: str) -> tuple[str, ...]:
        return ("availability",) if collection == PRODUCTS and self._rng.random() < 0.2 else ()


def _found(document: Document, path: str) -> Any:
    value: Any = document
    for name in path.split("."):
        value = value.get(name, _MISSING) if isinstance(value, dict) else _MISSING
    return value


def _apply(document: Document, written: Document, removed: Sequence[str]) -> None:
    for path, value in written.items():
        *around, last = path.split(".")
        at = document
        for name in around:
            at = at.setdefault(name, {})
        at[last] = copy.deepcopy(value)
    for path in removed:
        document.pop(path, None)
