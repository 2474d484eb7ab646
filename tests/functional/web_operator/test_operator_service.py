"""VPSs, orders and jobs: found, looked at, and acted on."""

import re
from typing import Any

import pytest
import sqlalchemy as sa

from domus.accounts.models import AuditEvent
from domus.billing.models import Invoice, InvoiceState, Order, OrderState, Payment
from domus.db.engine import Database
from domus.inventory.models import Dom0, Dom0State, IpAddress
from domus.provisioning.models import Job, JobKind, JobState
from domus.vps.models import Power, Suspension, Vps, VpsState
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop


def _all(db: Database, query: sa.Select[Any]) -> list[Any]:
    with db.reading() as session:
        return list(session.scalars(query))


def _order(db: Database, order: Order) -> Order:
    (found,) = _all(db, sa.select(Order).where(Order.id == order.id))
    assert isinstance(found, Order)
    return found


def _last_audit(db: Database) -> AuditEvent:
    event = _all(db, sa.select(AuditEvent).order_by(AuditEvent.id.desc()).limit(1))[0]
    assert isinstance(event, AuditEvent)
    return event


def test_an_order_is_marked_as_paid_with_a_reason(
    olga: Visitor, db: Database, shop: Shop, people: People
) -> None:
    order = shop.order(people.alice)
    path = f"/operator/orders/do/mark-paid/?id={order.id}"
    assert "12.50 USD is booked as received from Acme" in text_of(olga.get(path))
    assert _order(db, order).state is OrderState.PLACED, "looking changes nothing"
    olga.post(path, {"reason": "  "}, status=422)
    answer = olga.post(path, {"reason": "bank transfer of Friday"})
    assert _order(db, order).state is OrderState.PAID
    assert shop.vps(order).state is VpsState.PROVISIONING
    page = text_of(olga.get(answer.headers["Location"]))
    assert "is paid; its VPS is being made" in page
    assert "confirmed" in page
    event = _last_audit(db)
    assert "olga@example.com" in event.actor
    assert event.reason == "bank transfer of Friday"


def test_a_button_pressed_twice_pays_once(olga: Visitor, db: Database, shop: Shop, people: People) -> None:
    order = shop.order(people.alice)
    for _ in range(2):
        olga.client.post(
            f"/operator/orders/do/mark-paid/?id={order.id}",
            data={"reason": "paid", "csrf_token": olga.csrf_token()},
        )
    assert len(_all(db, sa.select(Payment))) == 1


def test_an_unpaid_order_is_cancelled(olga: Visitor, db: Database, shop: Shop, people: People) -> None:
    order = shop.order(people.alice)
    olga.post(f"/operator/orders/do/cancel/?id={order.id}", {"reason": "asked by phone"})
    assert _order(db, order).state is OrderState.CANCELLED
    olga.post(f"/operator/orders/do/mark-paid/?id={order.id}", {"reason": "late"}, status=409)
    assert _all(db, sa.select(Payment)) == []


def test_a_refund_needs_what_is_to_be_typed(olga: Visitor, db: Database, shop: Shop, people: People) -> None:
    order = shop.failed(people.alice)
    path = f"/operator/orders/do/refund/?id={order.id}"
    page = text_of(olga.get(path))
    assert f"type refund {order.number}" in page
    assert "12.50 USD is booked as given back" in page
    for typed in ("", "refund", f"REFUND {order.number}", f"refund {order.number + 1}"):
        refused = olga.post(path, {"reason": "sorry", "typed": typed}, status=422)
        assert 'id="typed-error"' in refused.get_data(as_text=True)
    assert _order(db, order).state is OrderState.PAID
    olga.post(path, {"reason": "sorry", "typed": f"refund {order.number}"})
    assert _order(db, order).state is OrderState.REFUNDED
    assert shop.vps(order).state is VpsState.REMOVING


def test_a_vps_on_a_lost_machine_is_forgotten_when_its_name_is_typed(
    olga: Visitor, db: Database, shop: Shop, people: People
) -> None:
    order = shop.failed(people.alice)
    vps = shop.vps(order)
    olga.post(
        f"/operator/orders/do/refund/?id={order.id}", {"reason": "sorry", "typed": f"refund {order.number}"}
    )
    path = f"/operator/vps/do/forget/?id={vps.id}"
    answers = {"reason": "it burnt", "typed": vps.name}
    assert "not lost" in text_of(olga.post(path, answers, status=409))
    with db.unit_of_work() as session:
        session.get_one(Dom0, vps.dom0_id).state = Dom0State.LOST
    assert f"type {vps.name}" in text_of(olga.get(path))
    olga.post(path, {"reason": "it burnt", "typed": "yes"}, status=422)
    assert shop.vps(order).state is VpsState.REMOVING
    olga.post(path, answers)
    assert shop.vps(order).state is VpsState.REMOVED
    assert _last_audit(db).action == "vps.forgotten"


def test_an_unpaid_order_is_not_refunded(olga: Visitor, db: Database, shop: Shop, people: People) -> None:
    order = shop.order(people.alice)
    typed = {"reason": "sorry", "typed": f"refund {order.number}"}
    page = olga.post(f"/operator/orders/do/refund/?id={order.id}", typed, status=409)
    assert "cannot refund" in text_of(page)
    assert _order(db, order).state is OrderState.PLACED


def test_a_failed_installation_is_begun_again_from_the_job_and_from_the_vps(
    olga: Visitor, db: Database, shop: Shop, people: People
) -> None:
    order = shop.failed(people.alice)
    failed = sa.select(Job).where(Job.state == JobState.FAILED)
    (job,) = _all(db, failed)
    page = text_of(olga.get(f"/operator/jobs/details/?id={job.id}"))
    assert "The mirror did not answer." in page
    assert "I: unpacking" in page
    assert "Installing packages failed" in page
    olga.post(f"/operator/jobs/do/retry/?id={job.id}", {"reason": "the mirror is back"})
    assert shop.vps(order).state is VpsState.PROVISIONING
    shop.says_job(order, state="failed", error="Again.", attempt=2)
    assert shop.vps(order).state is VpsState.PROVISION_FAILED
    olga.post(f"/operator/vps/do/retry/?id={shop.vps(order).id}", {"reason": "once more"})
    assert shop.vps(order).install_attempt == 3


def test_a_job_that_is_done_is_not_begun_again(
    olga: Visitor, db: Database, shop: Shop, people: People
) -> None:
    order = shop.delivered(people.alice)
    (job,) = _all(db, sa.select(Job))
    assert "Install again" not in text_of(olga.get(f"/operator/jobs/details/?id={job.id}"))
    olga.post(f"/operator/jobs/do/retry/?id={job.id}", {"reason": "why not"}, status=409)
    assert shop.vps(order).install_attempt == 1


@pytest.mark.parametrize(
    ("act", "kind"),
    [("shutdown", JobKind.SHUTDOWN), ("reboot", JobKind.REBOOT), ("power-off", JobKind.POWER_OFF)],
)
def test_the_power_is_changed_after_the_page_that_says_what_will_happen(
    olga: Visitor, db: Database, shop: Shop, people: People, act: str, kind: JobKind
) -> None:
    vps = shop.vps(shop.delivered(people.alice))
    path = f"/operator/vps/do/{act}/?id={vps.id}"
    assert "www.example.org) of Acme" in text_of(olga.get(path))
    assert len(_all(db, sa.select(Job))) == 1, "looking changes nothing"
    olga.post(path, {"reason": "asked by phone"})
    newest = _all(db, sa.select(Job).order_by(Job.revision.desc()))[0]
    assert (newest.kind, newest.reason) == (kind, "asked by phone")
    assert (_last_audit(db).action, _last_audit(db).reason) == (f"vps.{kind.value}", "asked by phone")


def test_a_stopped_vps_is_started_at_once(olga: Visitor, shop: Shop, people: People) -> None:
    vps = shop.vps(shop.delivered(people.alice))
    olga.post(f"/operator/vps/do/shutdown/?id={vps.id}", {"reason": "test"})
    olga.post(f"/operator/vps/do/start/?id={vps.id}")
    with shop.db.reading() as session:
        assert session.get_one(Vps, vps.id).wanted_power is Power.RUNNING


def test_a_vps_is_suspended_and_released_for_each_reason_on_its_own(
    olga: Visitor, db: Database, shop: Shop, people: People
) -> None:
    vps = shop.vps(shop.delivered(people.alice))
    for reason in ("abuse", "unpaid"):
        olga.post(
            f"/operator/vps/do/suspend/?id={vps.id}", {"suspension": reason, "note": f"note on {reason}"}
        )
    page = text_of(olga.get(f"/operator/vps/details/?id={vps.id}"))
    assert "note on abuse" in page
    assert "note on unpaid" in page
    release = f"/operator/vps/do/release/?id={vps.id}"
    body = olga.get(release).get_data(as_text=True)
    assert 'value="abuse"' in body
    assert 'value="security"' not in body
    olga.post(release, {"suspension": "security", "note": ""}, status=422)
    olga.post(release, {"suspension": "abuse", "note": "settled"})
    assert [row.reason.value for row in _all(db, sa.select(Suspension))] == ["unpaid"]
    olga.post(f"/operator/vps/do/start/?id={vps.id}", status=409)


@pytest.mark.parametrize("act", ["start", "shutdown", "reboot", "power-off", "suspend", "retry"])
def test_what_is_not_possible_is_refused_with_its_reason(
    olga: Visitor, shop: Shop, people: People, act: str
) -> None:
    vps = shop.vps(shop.order(people.alice))
    fields = {"reason": "x", "suspension": "abuse", "note": ""}
    page = olga.post(f"/operator/vps/do/{act}/?id={vps.id}", fields, status=409)
    assert "reserved" in text_of(page)


def test_there_is_no_act_that_is_not_in_the_list(olga: Visitor, shop: Shop, people: People) -> None:
    vps = shop.vps(shop.delivered(people.alice))
    for act in ("destroy", "delete", "run", "__init__"):
        olga.get(f"/operator/vps/do/{act}/?id={vps.id}", status=404)
        olga.post(f"/operator/vps/do/{act}/?id={vps.id}", status=404)


def test_a_vps_is_found_by_whatever_is_at_hand(
    olga: Visitor, db: Database, shop: Shop, people: People
) -> None:
    order = shop.delivered(people.alice, hostname="findme.example.org")
    shop.delivered(people.charlie, hostname="other.example.net")
    vps = shop.vps(order)
    (address,) = _all(db, sa.select(IpAddress).where(IpAddress.vps_id == vps.id))
    for text in (
        vps.name,
        str(vps.id),
        str(order.id),
        address.address,
        "findme",
        "FindMe.example.org",
        "alice@example.org",
    ):
        page = text_of(olga.get("/operator/vps/", query_string={"search": text}))
        assert "findme.example.org" in page, text
        assert "other.example.net" not in page, text
    assert "Nothing matches" in text_of(olga.get("/operator/vps/?search=indme"))


def test_an_order_is_found_by_number_uuid_vps_and_account(olga: Visitor, shop: Shop, people: People) -> None:
    order = shop.order(people.alice)
    shop.order(people.charlie)
    for text in (
        str(order.number),
        f"#{order.number}",
        str(order.id),
        str(shop.vps(order).id),
        "alice@example.org",
    ):
        page = text_of(olga.get("/operator/orders/", query_string={"search": text}))
        assert "Acme" in page, text
        assert "Charlie" not in page, text


def test_lists_are_narrowed_by_state_and_by_what_rows_belong_to(
    olga: Visitor, shop: Shop, people: People
) -> None:
    shop.delivered(people.alice, hostname="runs.example.org")
    shop.order(people.charlie, hostname="waits.example.net")
    active = text_of(olga.get("/operator/vps/?state=active"))
    assert "runs.example.org" in active
    assert "waits.example.net" not in active
    charlie = text_of(olga.get(f"/operator/vps/?account={people.charlie.account_id}"))
    assert "waits.example.net" in charlie
    assert "runs.example.org" not in charlie
    assert "Nothing matches" in text_of(olga.get("/operator/vps/?dom0=999"))


def test_the_page_of_a_vps_shows_everything(olga: Visitor, shop: Shop, people: People) -> None:
    vps = shop.vps(shop.delivered(people.alice))
    page = text_of(olga.get(f"/operator/vps/details/?id={vps.id}"))
    for text in (
        vps.name,
        str(vps.id),
        "00:16:3e",
        "192.0.2.",
        "Debian 12",
        "VPS Small",
        "Paris",
        "Handed over",
        "paid until",
    ):
        assert text in page, text
    body = olga.get(f"/operator/vps/details/?id={vps.id}").get_data(as_text=True)
    assert "ssh-ed25519" not in body
    assert "$2b$" not in body


def test_what_customers_wrote_is_shown_as_text(
    olga: Visitor, db: Database, shop: Shop, people: People
) -> None:
    vps = shop.vps(shop.delivered(people.alice))
    hostile = "<img src=x onerror=alert(1)>{{ 7*7 }}"
    olga.post(f"/operator/vps/do/shutdown/?id={vps.id}", {"reason": hostile})
    for path in (f"vps/details/?id={vps.id}", "audit/"):
        body = olga.get(f"/operator/{path}").get_data(as_text=True)
        assert "<img" not in body
        assert "&lt;img src=x onerror=alert(1)&gt;{{ 7*7 }}" in body


def test_the_books_show_a_paid_order_and_its_refund(
    olga: Visitor, db: Database, shop: Shop, people: People
) -> None:
    order = shop.failed(people.alice)
    (invoice,) = _all(db, sa.select(Invoice))
    assert invoice.state is InvoiceState.PAID
    page = text_of(olga.get(f"/operator/invoices/details/?id={invoice.id}"))
    assert "VPS Small, set-up fee" in page
    assert "12.50 USD" in page
    olga.post(
        f"/operator/orders/do/refund/?id={order.id}", {"reason": "sorry", "typed": f"refund {order.number}"}
    )
    assert "refunded" in text_of(olga.get("/operator/payments/"))
    ledger = text_of(olga.get("/operator/ledger/"))
    assert "\N{MINUS SIGN}12.50 USD" in ledger
    assert f"receivable:{people.alice.account_id}" in ledger
    for path in (
        "payments/details/?id=1",
        "ledger/details/?id=1",
        "audit/details/?id=1",
        "messages/details/?id=1",
    ):
        olga.get(f"/operator/{path}")


def test_what_is_found_by_its_beginning_is_sorted_by_it(olga: Visitor, shop: Shop, people: People) -> None:
    for name in ("www2", "www3", "www1", "mail"):
        shop.order(people.alice, hostname=f"{name}.example.org")
    body = olga.get("/operator/vps/?search=www&sort=0&desc=1").get_data(as_text=True)
    assert re.findall(r"(\w+)\.example\.org<", body) == ["www1", "www2", "www3"]
    assert "aria-sort" not in body
