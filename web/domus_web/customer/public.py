"""The page that everybody sees: what is sold, where there is room, what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import Blueprint, render_template

from domus.catalog import queries as catalog
from domus.catalog.models import Price, Product
from domus_web.context import current_db
from domus_web.customer.availability import Free, free_places

blueprint = Blueprint("public", __name__)


@dataclass(frozen=True, slots=True)
class Offer:
    """A product with the prices it can be ordered at."""

    product: Product
    prices: Sequence[Price]
    free: Sequence[Free]

    @property
    def is_full(self) -> bool:
        """Tell whether no location has room for it."""
        return not any(place.places > 0 for place in self.free)


@blueprint.get("/")
def home() -> str:
    """Show the products."""
    with current_db().reading() as session:
        prices = catalog.sellable_prices(session)
        by_product: dict[int, list[Price]] = {}
        for price in prices:
            by_product.setdefault(price.product_id, []).append(price)
        products = {price.product_id: price.product for price in prices}
        free: Mapping[int, Sequence[Free]] = free_places(session, list(products.values()))
    offers = [Offer(product, by_product[key], free[key]) for key, product in products.items()]
    return render_template("customer/home.html", offers=offers)
