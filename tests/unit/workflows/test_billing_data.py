"""What invoices are made out to, entered by the customer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from domus.accounts.actor import Actor
from domus.accounts.models import AuditEvent, ContactKind
from domus.core.errors import Conflict, InvalidInput, NotAllowed, NotFound
from domus.core.money import Money
from domus.db.engine import Database
from domus.tax.models import Company
from domus.workflows import billing_data
from domus.workflows.billing_data import BillingData
from tests.support.builders import NOW
from tests.support.people import People

DATA = BillingData(
    name="张伟", company="Иванов и партнёры", address="1 Rue de la Paix\r\n75002 Paris", country="fr",
    vat_number="fr 40 303 265 045", language="zh",
    contacts={ContactKind.BILLING: "books@example.org\n\n Books@example.org \nboss@example.org"},
)  # fmt: skip


def save(db: Database, people: People, data: BillingData = DATA) -> None:
    billing_data.save(db, account_id=people.acme.id, data=data, actor=people.as_alice, now=NOW)


def events(db: Database) -> list[Any]:
    with db.reading() as session:
        return list(
            session.scalars(sa.select(AuditEvent.details).where(AuditEvent.action == "account.changed"))
        )


def test_it_is_stored_in_one_form(db: Database, people: People) -> None:
    save(db, people)
    account = billing_data.get(db, account_id=people.acme.id, actor=people.as_bob)
    assert (account.name, account.country, account.vat_number) == ("张伟", "FR", "FR40303265045")
    assert account.address == "1 Rue de la Paix\n75002 Paris"
    assert [contact.email for contact in account.contacts] == ["books@example.org", "boss@example.org"]


def test_saving_it_again_changes_nothing_and_history_names_fields_without_their_content(
    db: Database, people: People
) -> None:
    save(db, people)
    save(db, people)
    assert len(events(db)) == 1
    assert "billing" in events(db)[0]["changed"]
    assert "Paris" not in str(events(db))


def test_an_address_that_is_left_out_is_removed(db: Database, people: People) -> None:
    save(db, people)
    save(
        db,
        people,
        replace(
            DATA, contacts={ContactKind.BILLING: "boss@example.org", ContactKind.ABUSE: "noc@example.org"}
        ),
    )
    account = billing_data.get(db, account_id=people.acme.id, actor=people.as_alice)
    assert {(contact.kind.value, contact.email) for contact in account.contacts} == {
        ("billing", "boss@example.org"),
        ("abuse", "noc@example.org"),
    }


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "Pay at https://evil.example"}, "name"),
        ({"country": "Atlantis"}, "country"),
        ({"country": "", "vat_number": "FR40303265045"}, "vat_number"),
        ({"vat_number": "FR40303265046"}, "vat_number"),
        ({"language": "tlh"}, "language"),
        ({"contacts": {ContactKind.ABUSE: "not an address"}}, "abuse"),
        ({"contacts": {ContactKind.BILLING: "\n".join(f"a{n}@example.org" for n in range(11))}}, "billing"),
    ],
)
def test_a_wrong_value_is_refused_at_its_field_and_nothing_is_stored(
    db: Database, people: People, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        save(db, people, replace(DATA, **changes))
    assert refusal.value.field == field
    assert billing_data.get(db, account_id=people.acme.id, actor=people.as_alice).name == "Acme"


def test_strangers_neither_read_nor_write_it(db: Database, people: People) -> None:
    with pytest.raises(NotFound):
        billing_data.get(db, account_id=people.acme.id, actor=people.as_charlie)
    with pytest.raises(NotFound):
        billing_data.save(db, account_id=people.acme.id, data=DATA, actor=people.as_charlie, now=NOW)


def test_the_total_with_tax_is_known_before_the_order(db: Database, people: People) -> None:
    def quote() -> billing_data.TaxQuote:
        return billing_data.quote(db, account_id=people.acme.id, actor=people.as_alice, now=NOW)

    ten, fee = Money(1000, "EUR"), Money(495, "EUR")
    assert (quote().gross(ten, fee), quote().words) == (Money(1495, "EUR"), "")
    with db.unit_of_work() as session:
        session.execute(sa.update(Company).values(country="DE", charges_tax=True))
    assert quote().gross(ten, fee) == Money(1779, "EUR")
    assert quote().words == "Including 19 % VAT (Germany)."
    save(db, people)
    assert (quote().gross(ten), quote().words) == (ten, "No VAT is charged to you.")


def test_an_operator_removes_a_number_that_its_country_does_not_know(db: Database, people: People) -> None:
    def remove(actor: Actor) -> None:
        billing_data.remove_vat_number(
            db, account_id=people.acme.id, reason="not in VIES", actor=actor, now=NOW
        )

    save(db, people)
    with pytest.raises(NotAllowed):
        remove(people.as_alice)
    remove(people.as_olga)
    assert billing_data.get(db, account_id=people.acme.id, actor=people.as_alice).vat_number == ""
    with pytest.raises(Conflict, match="no VAT number"):
        remove(people.as_olga)
    with db.reading() as session:
        event = session.scalars(
            sa.select(AuditEvent).where(AuditEvent.action == "account.vat_number_removed")
        ).one()
    assert (event.reason, event.details) == ("not in VIES", {"vat_number": "FR40303265045"})
