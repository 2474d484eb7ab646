"""What a customer's invoices and mails are made out to: names, address, VAT number, language, further addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.accounts.models import Account, AccountContact, ContactKind
from domus.accounts.services import parse_email
from domus.billing import invoicing
from domus.core.countries import country_names, parse_country
from domus.core.errors import Conflict, InvalidInput, NotFound
from domus.core.languages import DEFAULT_LANGUAGE, parse_language
from domus.core.money import Money
from domus.core.texts import one_line, own_name, paragraphs
from domus.db.engine import Database
from domus.db.rows import write_row
from domus.tax.amounts import net_and_tax
from domus.tax.models import percent_text
from domus.tax.rules import Decision, Rule
from domus.tax.vat_numbers import parse_vat_number

#: Enough for a department; more would make a mailing list of the invoice.
MAX_CONTACTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingData:
    """As it was typed. ``contacts`` holds one address a line for each kind."""

    name: str
    company: str = ""
    address: str = ""
    country: str = ""
    vat_number: str = ""
    language: str = DEFAULT_LANGUAGE
    contacts: Mapping[ContactKind, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxQuote:
    """Which tax an account would pay now, so that every amount can be shown before it is agreed to."""

    decision: Decision
    prices_include_tax: bool

    def gross(self, *prices: Money) -> Money:
        """Return what an invoice over these catalogue prices would be over."""
        lines = net_and_tax(prices, self.decision, include_tax=self.prices_include_tax)
        return sum((net + tax for net, tax in lines), Money.zero(prices[0].currency))

    @property
    def is_on_top(self) -> bool:
        """Tell whether prices in the catalogue are lower than what is paid."""
        return bool(self.decision.country) and not self.prices_include_tax

    @property
    def words(self) -> str:
        """Return a sentence beside a total; nothing where the company charges nobody any tax."""
        if self.decision.rule is Rule.UNTAXED_SELLER:
            return ""
        if not self.decision.country:
            return "No VAT is charged to you."
        name = country_names().get(self.decision.country, self.decision.country)
        return f"Including {percent_text(self.decision.millipercent)} VAT ({name})."


def get(db: Database, *, account_id: int, actor: Actor) -> Account:
    """Return an account with its contacts; strangers get NotFound."""
    actor.require_account(account_id, what="account")
    with db.reading() as session:
        account = _find(session, account_id)
        _ = account.contacts
    return account


def save(db: Database, *, account_id: int, data: BillingData, actor: Actor, now: datetime) -> Account:
    """Check and store it all; invoices that have a number are not touched. Raises InvalidInput with the field."""
    actor.require_account(account_id, what="account")
    country = parse_country(data.country)
    columns = {
        "name": own_name(data.name, field="name", maximum=200),
        "company": one_line(data.company, field="company", maximum=200, required=False),
        "address": paragraphs(data.address, field="address", maximum=500),
        "country": country,
        "vat_number": parse_vat_number(data.vat_number, country),
        "language": parse_language(data.language),
    }
    contacts = {kind: _addresses(text, kind) for kind, text in data.contacts.items()}
    with db.unit_of_work() as session:
        account = _find(session, account_id)
        changed = list(write_row(account, columns))
        changed += [kind.value for kind, emails in contacts.items() if _write(account, kind, emails)]
        if changed:
            # Which of them, but not what stood there: history is kept for ever, and addresses are people's own.
            audit.record(
                session, actor=actor, action="account.changed", object_type="account", object_id=account_id,
                account_id=account_id, details={"changed": sorted(changed)}, now=now,
            )  # fmt: skip
    return account


def remove_vat_number(db: Database, *, account_id: int, reason: str, actor: Actor, now: datetime) -> Account:
    """Take a number away that its country does not know; from the next invoice on the account pays tax as a consumer."""
    actor.require_operator()
    with db.unit_of_work() as session:
        account = _find(session, account_id)
        if not account.vat_number:
            raise Conflict("This account has no VAT number.")
        removed, account.vat_number = account.vat_number, ""
        audit.record(
            session, actor=actor, action="account.vat_number_removed", object_type="account", object_id=account_id,
            account_id=account_id, reason=reason, details={"vat_number": removed}, now=now,
        )  # fmt: skip
    return account


def quote(db: Database, *, account_id: int, actor: Actor, now: datetime) -> TaxQuote:
    """Return which tax the account would pay now; PreconditionFailed when no rate is known."""
    actor.require_account(account_id, what="account")
    with db.reading() as session:
        company, decision = invoicing.tax_for(session, _find(session, account_id), now=now)
    return TaxQuote(decision=decision, prices_include_tax=company.prices_include_tax)


def _find(session: Session, account_id: int) -> Account:
    account = session.get(Account, account_id)
    if account is None:
        raise NotFound("There is no such account.")
    return account


def _addresses(text: str, kind: ContactKind) -> list[str]:
    typed = [line.strip() for line in text.splitlines() if line.strip()]
    if len(typed) > MAX_CONTACTS:
        raise InvalidInput(f"At most {MAX_CONTACTS} addresses; these are {len(typed)}.", field=kind.value)
    return list(dict.fromkeys(parse_email(line, field=kind.value) for line in typed))


def _write(account: Account, kind: ContactKind, emails: list[str]) -> bool:
    """Make these the addresses of the kind; tell whether that changed anything."""
    present = {contact.email: contact for contact in account.contacts if contact.kind is kind}
    for email in present.keys() - set(emails):
        account.contacts.remove(present[email])
    new = [email for email in emails if email not in present]
    account.contacts.extend(AccountContact(kind=kind, email=email) for email in new)
    return bool(new) or bool(present.keys() - set(emails))
