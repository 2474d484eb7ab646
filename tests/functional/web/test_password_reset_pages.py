"""Forgotten passwords over the panel's pages."""

import re
from datetime import timedelta

import pytest
from flask import Flask

from domus.core.clock import utc_now
from domus.db.engine import Database
from domus_web import create_app
from tests.support import panel
from tests.support.mails import LOOK, PostOffice
from tests.support.panel import Visitor, text_of
from tests.support.people import People

NEW = "a wholly new password"


@pytest.fixture
def app(db: Database) -> Flask:
    return create_app(panel.settings(panel_url=LOOK.sender.panel_url), db)


@pytest.fixture
def office(db: Database) -> PostOffice:
    return PostOffice(db, now=utc_now())


def link(office: PostOffice) -> str:
    office.run(after=timedelta(minutes=1))
    found = re.search(r"https://panel\.example\.org(/reset-password/[\w-]+)", office.texts()[-1])
    assert found is not None
    return found[1]


def test_a_link_by_mail_leads_to_a_new_password(visitor: Visitor, people: People, office: PostOffice) -> None:
    assert "Forgotten your password?" in text_of(visitor.get("/login"))
    visitor.post("/reset-password", {"email": "alice@example.org"})
    assert "a mail with a link is on its way" in text_of(visitor.get("/login"))
    path = link(office)
    visitor.get(path)
    visitor.post(path, {"new": NEW, "again": NEW + "x"}, status=422)
    visitor.post(path, {"new": "short", "again": "short"}, status=422)
    visitor.post(path, {"new": NEW, "again": NEW})
    visitor.log_in(people.alice, NEW)
    assert visitor.get(path, status=303).location == "/reset-password"


def test_unknown_addresses_are_answered_the_same(
    visitor: Visitor, people: People, office: PostOffice
) -> None:
    answers = []
    for email in ("alice@example.org", "nobody@example.org"):
        answer = visitor.post("/reset-password", {"email": email})
        answers.append((answer.status_code, answer.location, text_of(visitor.get("/login"))))
    assert answers[0] == answers[1]
    assert len(office.mails()) == 1


def test_too_many_requests_are_told_to_wait(visitor: Visitor, people: People) -> None:
    for _ in range(3):
        visitor.post("/reset-password", {"email": "alice@example.org"})
    answer = visitor.post("/reset-password", {"email": "alice@example.org"}, status=429)
    assert int(answer.headers["Retry-After"]) > 0


def test_nonsense_is_refused(visitor: Visitor) -> None:
    visitor.post("/reset-password", {"email": "not an address"}, status=422)
    visitor.post("/reset-password", {}, status=422)
    visitor.get("/reset-password/%00%ff", status=303)


def test_a_forged_host_changes_no_link(visitor: Visitor, people: People, office: PostOffice) -> None:
    visitor.post(
        "/reset-password", {"email": "alice@example.org"}, headers={"X-Forwarded-Host": "evil.example"}
    )
    assert link(office).startswith("/reset-password/")


def test_where_mails_carry_no_links_it_is_not_offered(db: Database, people: People) -> None:
    visitor = Visitor(create_app(panel.settings(), db))
    assert "Forgotten" not in text_of(visitor.get("/login"))
    visitor.get("/reset-password", status=404)
