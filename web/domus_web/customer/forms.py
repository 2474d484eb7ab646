"""The customer's forms. What is allowed the workflows decide; here only what a form itself can know."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from wtforms import HiddenField, IntegerField, PasswordField, RadioField, StringField, TextAreaField
from wtforms.form import BaseForm
from wtforms.validators import EqualTo, InputRequired, Length, NumberRange, Optional, ValidationError

from domus.catalog.models import Addon
from domus_web.forms import Form, strip


def new_request_token() -> str:
    """Return a token that makes the same form sent twice one order."""
    return secrets.token_urlsafe(24)


class OneOf(RadioField):
    """Radio buttons for rows with numeric ids."""

    def __init__(self, label: str, missing: str, **options: Any) -> None:
        super().__init__(label, [InputRequired(missing)], coerce=_row_id, **options)

    def pre_validate(self, form: BaseForm) -> None:
        """Refuse what is not offered (any more)."""
        try:
            super().pre_validate(form)
        except ValidationError as error:
            message = "This is not offered any more; choose one of those shown."
            raise ValidationError(message) from error


def _row_id(value: object) -> int:
    """Return an id as a number; what is none becomes an id that no row has."""
    text = str(value)
    return int(text) if text.isdecimal() and len(text) < 19 else 0


class OrderForm(Form):
    """What a customer says to order a VPS. The choices are filled in per request."""

    request_token = HiddenField(default=new_request_token, validators=[InputRequired(), Length(max=64)])
    price_id = OneOf("Product", "Choose a product.")
    location_id = OneOf("Location", "Choose a location.")
    template_id = OneOf("Operating system", "Choose an operating system.")
    coupon = StringField("Coupon", [Length(max=100)], filters=[strip])
    coupon_shown = HiddenField()
    """The code whose effect the page showed when it was sent."""
    hostname = StringField(
        "Host name", [InputRequired("Enter a host name, such as www.example.org.")], filters=[strip]
    )
    ssh_keys = TextAreaField("SSH public keys", [Length(max=200_000)], filters=[strip])
    root_password = PasswordField("Root password", [Length(max=1024)])
    root_password_again = PasswordField(
        "Root password again", [EqualTo("root_password", "The two root passwords differ.")]
    )


def order_form(addons: Iterable[Addon]) -> OrderForm:
    """Return the form with a field for each add-on of the products on offer."""
    fields = {f"addon_{addon.id}": _pieces(addon) for addon in addons}
    form: OrderForm = type("OrderForm", (OrderForm,), fields)()
    return form


def _pieces(addon: Addon) -> IntegerField:
    return IntegerField(
        addon.name,
        [Optional(), NumberRange(0, addon.maximum, f"At most {addon.maximum}, in whole numbers.")],
        default=addon.minimum,
        render_kw={"min": addon.minimum, "max": addon.maximum, "inputmode": "numeric"},
    )
