"""Loading a catalogue from a file."""

import pytest
import sqlalchemy as sa

from domus.accounts.actor import Actor
from domus.catalog import queries
from domus.catalog.models import OsTemplate, Price, Product
from domus.core.errors import InvalidInput, NotAllowed
from domus.db.engine import Database
from domus.inventory.models import Dom0, IpAddress, IpPool
from domus.workflows import seeding
from tests.support.builders import NOW
from tests.support.people import People

SHELL = Actor.shell("test")


def load(db: Database, text: str | None = None) -> dict[str, int]:
    return dict(seeding.seed(db, text=text, actor=SHELL, now=NOW))


def test_the_sample_holds_the_advanced_vps_of_old(any_db: Database) -> None:
    load(any_db)
    with any_db.reading() as session:
        prices = queries.sellable_prices(session)
        advanced = next(price for price in prices if price.product.name == "Advanced VPS")
        product = advanced.product
        assert str(advanced.amount) == "59.00 USD"
        assert (product.disk_mib, product.memory_mib, product.traffic_bytes) == (30_720, 768, 204_800 * 2**20)
        renewals = {(price.period_text, str(price.amount)) for price in advanced.renewals}
        assert renewals == {("0000-01-00", "59.00 USD"), ("0000-03-00", "149.00 USD")}
        names = session.scalars(sa.select(OsTemplate.name).order_by(OsTemplate.name)).all()
        assert names == ["debian-12", "debian-12-image"]


def test_loading_twice_adds_nothing_and_keeps_what_was_edited(db: Database) -> None:
    load(db)
    with db.unit_of_work() as session:
        session.execute(sa.update(Product).where(Product.name == "Mini VPS").values(memory_mib=300))
        session.execute(sa.update(Price).values(amount_minor=Price.amount_minor + 1))
    assert load(db) == {}
    with db.reading() as session:
        assert session.scalar(sa.select(Product.memory_mib).where(Product.name == "Mini VPS")) == 300


POOL = """
locations:
  - name: Moon
    pools:
      - {network: 192.0.2.0/24, gateway: 192.0.2.1, dns: [192.0.2.1], addresses: {first: 192.0.2.1%s, last: 192.0.2.19}}
    dom0s:
      - {minion_id: dom0-a, hypervisor: simulated, storage_backend: simulated, memory_capacity_mib: 1024,
         disk_capacity_mib: 10000, vcpus_capacity: 4}
"""


def test_a_corrected_file_goes_on_where_the_wrong_one_stopped(db: Database) -> None:
    with pytest.raises(InvalidInput, match=r"^locations, entry 1: pools, entry 1: 'first': The gateway"):
        load(db, POOL % "")
    assert load(db, POOL % "0") == {"address": 10, "dom0": 1}
    with db.reading() as session:
        counts = [
            session.scalar(sa.select(sa.func.count()).select_from(model))
            for model in (IpPool, IpAddress, Dom0)
        ]
    assert counts == [1, 10, 1]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "a map of names is needed"),
        ("[]", "a map of names is needed"),
        ("{", "not YAML"),
        ("!!python/object/apply:os.system ['id']", "not YAML"),
        ("colours: []", "'colours' is not a part"),
        ("templates: {}", "a list is needed"),
        ("templates: [debian]", "templates, entry 1: a map of names"),
        ("templates: [{name: x1, title: X, method: magic, release: r}]", "allowed are bootstrap, image"),
        (
            "templates: [{name: x1, title: X, method: image, release: r, colour: red}]",
            "'colour' is not known",
        ),
        ("templates: [{name: x1, title: X, method: image}]", "'release' is missing"),
        ("templates: [{name: x1, title: X, method: image, release: 12}]", "a text is needed"),
        ("products: [{name: P, memory_mib: '512', disk_mib: 1024}]", "a whole number is needed"),
        ("products: [{name: P, memory_mib: 512, disk_mib: 1024, traffic_mib: much}]", "traffic_mib"),
        ("products: [{name: P, memory_mib: 512, disk_mib: 1024, active: 1}]", "true or false is needed"),
        ("products: [{name: P, memory_mib: 1, disk_mib: 1024}]", "'memory_mib': A whole number from 64"),
        (
            "products: [{name: P, memory_mib: 512, disk_mib: 1024, prices: [{period: 0000-01-00, currency: USD}]}]",
            "not YAML, or a period stands in it without quotes",
        ),
        (
            "products: [{name: P, memory_mib: 512, disk_mib: 1024, prices: [{period: '1', currency: USD, amount: 1}]}]",
            r"products, entry 1: prices, entry 1: 'period_text': '1' is not a period",
        ),
        (
            "products: [{name: P, memory_mib: 512, disk_mib: 1024, prices: [{period: '0000-01-00', amount: 1}]}]",
            "Currency '' is not known",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(db: Database, text: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        load(db, text)


def test_only_operators_load_catalogues(db: Database, people: People) -> None:
    with pytest.raises(NotAllowed):
        seeding.seed(db, actor=people.as_alice, now=NOW)
