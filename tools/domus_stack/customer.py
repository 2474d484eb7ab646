"""A customer at the web panel: reads its pages and sends its forms as a browser without JavaScript would."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import requests

from domus_stack.errors import StackError

TIMEOUT_SECONDS = 30


@dataclass
class Form:
    """One form of a page: where it goes, and what it would send untouched."""

    action: str = ""
    method: str = "get"
    values: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)
    """The values of each group of radio buttons."""


class _Forms(HTMLParser):
    """Collects the forms and the visible text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(named.get("action", ""), named.get("method", "get").lower()))
        elif self.forms and tag in ("input", "textarea", "select") and "name" in named:
            self._take(named, self.forms[-1])

    def _take(self, named: dict[str, str], form: Form) -> None:
        if named.get("type") == "radio":
            form.choices.setdefault(named["name"], []).append(named.get("value", ""))
            if "checked" not in named:
                return
        form.values[named["name"]] = named.get("value", "")

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append(data.strip())


@dataclass(frozen=True)
class Credentials:
    """How somebody logs in at the panel."""

    email: str
    password: str = field(repr=False)


class Customer:
    """One browser, logged in once `sign_up` or `log_in` returned."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()

    def sign_up(self, name: str, credentials: Credentials) -> None:
        """Open an account; its first user is logged in by that."""
        self._send("/sign-up", name=name, email=credentials.email, password=credentials.password)

    def log_in(self, credentials: Credentials) -> None:
        """Log in."""
        self._send("/login", email=credentials.email, password=credentials.password)

    def order(
        self,
        *,
        hostname: str,
        root_password: str = "",
        ssh_keys: str = "",
        price_id: int | None = None,
        location_id: int | None = None,
        template_id: int | None = None,
        request_token: str | None = None,
    ) -> str:
        """Order a VPS and return the order's id; what is not named is the first that the page offers.

        The same ``request_token`` again stands for the same page sent again.
        """
        wanted = {
            "price_id": price_id,
            "location_id": location_id,
            "template_id": template_id,
            "request_token": request_token,
        }
        values = {name: str(value) for name, value in wanted.items() if value is not None}
        answer = self._send(
            "/orders/new",
            hostname=hostname,
            ssh_keys=ssh_keys,
            root_password=root_password,
            root_password_again=root_password,
            **values,
        )
        return urlsplit(answer.url).path.rsplit("/", 1)[-1]

    def pay(self, order_id: str) -> None:
        """Pay an order at the test gateway."""
        self.press(f"/orders/{order_id}", f"/orders/{order_id}/pay")

    def press(self, path: str, action: str) -> None:
        """Press the button of a page that leads to an address; an empty one is the page's own form."""
        self._send(path, action=action)

    def page(self, path: str) -> str:
        """Return the text of a page."""
        return " ".join(self._read(self._get(path)).text)

    def _get(self, path: str) -> requests.Response:
        answer = self._session.get(urljoin(self._url, path), timeout=TIMEOUT_SECONDS)
        if answer.status_code != 200:
            raise StackError(f"the panel answered {answer.status_code} to GET {path}")
        return answer

    def _send(self, path: str, *, action: str | None = None, **values: str) -> requests.Response:
        """Fill in a page's form and send it; without *action* that is the form that has all these fields."""
        page = self._get(path)
        form = self._find(page, action, set(values))
        sent = {**{name: options[0] for name, options in form.choices.items()}, **form.values, **values}
        target = urljoin(page.url, form.action or path)
        answer = self._session.post(target, data=sent, headers={"Referer": page.url}, timeout=TIMEOUT_SECONDS)
        if answer.status_code != 200:
            said = " ".join(self._read(answer).text)
            raise StackError(f"the panel answered {answer.status_code} to the form on {path}: {said[:600]}")
        return answer

    def _find(self, page: requests.Response, action: str | None, names: set[str]) -> Form:
        for form in self._read(page).forms:
            if form.method == "post" and (
                names <= {*form.values, *form.choices} if action is None else form.action == action
            ):
                return form
        raise StackError(f"{page.url} has no form {action or 'with ' + ', '.join(sorted(names))}")

    @staticmethod
    def _read(page: requests.Response) -> _Forms:
        forms = _Forms()
        forms.feed(page.text)
        return forms


def new_password() -> str:
    """Return a password that nobody guesses."""
    return secrets.token_urlsafe(15)
