"""The forms at the entrance. What a good password is, the accounts workflow decides."""

from __future__ import annotations

from wtforms import EmailField, PasswordField, SelectField, StringField
from wtforms.validators import DataRequired, EqualTo, Length

from domus_web.forms import Form, country_choices, strip

MAX_PASSWORD = 1024


class LogInForm(Form):
    """E-mail address and password."""

    email = EmailField(
        "E-mail", [DataRequired("Enter your e-mail address."), Length(max=254)], filters=[strip]
    )
    password = PasswordField("Password", [DataRequired("Enter your password."), Length(max=MAX_PASSWORD)])


class SignUpForm(Form):
    """What a new customer tells us."""

    name = StringField(
        "Name or company",
        [DataRequired("Enter the name that invoices are made out to."), Length(max=200)],
        filters=[strip],
    )
    email = EmailField(
        "E-mail", [DataRequired("Enter your e-mail address."), Length(max=254)], filters=[strip]
    )
    country = SelectField("Country", choices=country_choices, default="")
    password = PasswordField("Password", [DataRequired("Choose a password."), Length(max=MAX_PASSWORD)])


class ChangePasswordForm(Form):
    """The old password once and the new one twice."""

    old = PasswordField(
        "Present password", [DataRequired("Enter your present password."), Length(max=MAX_PASSWORD)]
    )
    new = PasswordField("New password", [DataRequired("Choose a new password."), Length(max=MAX_PASSWORD)])
    again = PasswordField(
        "New password again", [EqualTo("new", "The two new passwords differ."), Length(max=MAX_PASSWORD)]
    )


class AskResetForm(Form):
    """Whose password was forgotten."""

    email = EmailField(
        "E-mail", [DataRequired("Enter your e-mail address."), Length(max=254)], filters=[strip]
    )


class ResetForm(Form):
    """A new password, twice."""

    new = PasswordField("New password", [DataRequired("Choose a new password."), Length(max=MAX_PASSWORD)])
    again = PasswordField(
        "New password again", [EqualTo("new", "The two new passwords differ."), Length(max=MAX_PASSWORD)]
    )
