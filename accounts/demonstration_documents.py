"""Varied documents, as Extended JSON: nested, with gaps, and with fields of mixed types.

The same seed gives the same documents.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

Spelled = dict[str, Any]

LOCALES = ["en_GB", "de_DE", "pl_PL", "ja_JP"]
SINCE, UNTIL = datetime(2023, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
STATUSES = ("new", "paid", "shipped", "delivered", "returned")
CUSTOMER_IDS = 300  # every organization has at least as many customers
SKUS = 400


class Author:
    """Writes documents from a seeded source of names, places and numbers."""

    def __init__(self, seed: int) -> None:
        from faker import Faker  # only where things are tried out is it installed

        self.fake = Faker(LOCALES)
        self.fake.seed_instance(seed)
        self.random = Random(seed)  # noqa: S311 -- repeatable, not secret

    def customer(self, number: int) -> Spelled:
        """Write a customer: an address within, sometimes a telephone, a score of any type."""
        customer: Spelled = {
            "_id": f"customer-{number:05}",
            "name": self.fake.name(),
            "email": self.fake.safe_email(),
            "reference": {"$uuid": self._uuid()},
            "address": self._address(),
            "born": self._moment(),
            "balance": self._money(-50_000, 250_000),
            "tags": self.random.sample(["vip", "trade", "newsletter", "overdue"], k=number % 4),
            "score": self.random.choice([number, number / 7, "not rated", None, [1, 2]]),
        }
        if number % 3:
            customer["phone"] = self.fake.phone_number()
        return customer

    def order(self, number: int) -> Spelled:
        """Write an order: lines within, and a delivery once there is one."""
        status = self.random.choice(STATUSES)
        order: Spelled = {
            "_id": {"$oid": f"{self.random.getrandbits(96):024x}"},
            "number": 2**40 + number,  # a 64-bit integer
            "customer": f"customer-{self.random.randrange(CUSTOMER_IDS):05}",
            "placed_at": self._moment(),
            "status": status,
            "lines": [self._line() for _ in range(self.random.randint(1, 5))],
            "discount": self.random.choice([0, 0.05, {"$numberDecimal": "0.10"}, None]),
        }
        if status in {"shipped", "delivered", "returned"}:
            order["delivery"] = {"carrier": self.fake.company(), "sent_at": self._moment()}
        if number % 5 == 0:
            order["note"] = self.fake.sentence()
        return order

    def mixture(self, number: int) -> Spelled:
        """Write a document of one of several shapes, under an id of one of several types."""
        shapes: tuple[Callable[[], Spelled], ...] = (self._note, self._reading, self._place)
        spellings: tuple[Any, ...] = (number, f"entry/{number}", {"$uuid": self._uuid()})
        return {"_id": spellings[number % len(spellings)], **self.random.choice(shapes)()}

    def _note(self) -> Spelled:
        return {"kind": "note", "title": self.fake.sentence(4), "text": self.fake.paragraph()}

    def _reading(self) -> Spelled:
        values = [round(self.random.gauss(20, 5), 2) for _ in range(self.random.randint(0, 12))]
        return {"kind": "reading", "at": self._moment(), "values": values, "valid": bool(values)}

    def _place(self) -> Spelled:
        longitude, latitude = self.random.uniform(-180, 180), self.random.uniform(-90, 90)
        point = {"type": "Point", "coordinates": [longitude, latitude]}
        return {"kind": "place", "city": self.fake.city(), "location": point}

    def _address(self) -> Spelled:
        address = {"street": self.fake.street_address(), "city": self.fake.city()}
        return address | ({"postcode": self.fake.postcode()} if self.random.random() < 0.9 else {})

    def _line(self) -> Spelled:
        return {
            "sku": f"SKU-{self.random.randrange(SKUS):04}",
            "quantity": self.random.randint(1, 12),
            "price": self._money(99, 49_999),
        }

    def _money(self, low: int, high: int) -> Spelled:
        return {"$numberDecimal": f"{self.random.randint(low, high) / 100:.2f}"}

    def _moment(self) -> Spelled:
        seconds = self.random.uniform(SINCE.timestamp(), UNTIL.timestamp())
        moment = datetime.fromtimestamp(seconds, tz=UTC)
        return {"$date": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"}

    def _uuid(self) -> str:
        return str(UUID(int=self.random.getrandbits(128), version=4))


def spell_documents(collection: str, count: int, seed: int) -> Iterator[Spelled]:
    """Return so many documents for a collection of that name."""
    author = Author(seed)
    write = {"customers": author.customer, "orders": author.order}.get(collection, author.mixture)
    return map(write, range(count))
