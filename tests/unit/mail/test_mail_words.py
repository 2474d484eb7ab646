"""The words of mails: ours are whole in every language, and an operator's can do nothing but be filled in."""

from __future__ import annotations

import pytest

from domus.core.errors import InvalidInput
from domus.core.languages import LANGUAGES
from domus.mail.composing import Sender, names_for
from domus.mail.events import COMMON_EXAMPLE, EVENTS
from domus.mail.rendering import MAX_FILLED, Letter, Words, fill_in, html_of
from domus.mail.templates import built_in


def filled(text: str, **data: object) -> Letter:
    return fill_in(Words(subject="s", text=text), data)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("event", EVENTS)
def test_every_event_has_words_in_every_language(event: str, language: str) -> None:
    example = {**COMMON_EXAMPLE, **EVENTS[event].example}
    letter = fill_in(built_in(event, language), example)
    assert letter.subject
    assert "{" not in letter.text
    assert "Hello Ada Lovelace," in letter.text
    for name in ("number", "addresses", "minutes"):
        if name in example:
            assert str(example[name]) in letter.text, name


@pytest.mark.parametrize("language", LANGUAGES)
def test_greeting_and_signature_are_in_the_language(language: str) -> None:
    sender = Sender(
        address="a@example.org", company_name="Shop", support_email="help@example.org", panel_url="https://p"
    )
    names = names_for(
        {"path": "/x"}, language=language, account_name="{company} Ada", company_name="Shop", sender=sender
    )
    assert "{company} Ada" in names["greeting"]
    assert names["signature"] == "Shop\nhelp@example.org"
    assert names["url"] == "https://p/x"


def test_without_a_panel_url_there_is_no_link() -> None:
    sender = Sender(address="a@example.org", company_name="Shop")
    names = names_for({"path": "/x"}, language="en", account_name="", company_name="Shop", sender=sender)
    assert (names["url"], names["greeting"], names["signature"]) == ("", "Hello Shop,", "Shop")
    letter = fill_in(built_in("invoice", "en"), {**names, **EVENTS["invoice"].example})
    assert "attached.\n\nShop" in letter.text


def test_the_html_part_is_made_from_the_text_and_escapes_it() -> None:
    url = "https://example.org/?a=1&b=2"
    html = html_of(f"Hello <b>& co</b>,\n\nsee {url}\nnow\n", url)
    assert "&lt;b&gt;&amp; co&lt;/b&gt;" in html
    assert 'href="https://example.org/?a=1&amp;b=2"' in html
    assert "<br>" in html
    assert html.count("<p>") == 2


def test_nothing_but_our_own_address_becomes_a_link() -> None:
    data = {
        "name": "http://evil.example/ www.evil.example mail@evil.example",
        "url": "https://p.example.org/x?a=1&b=2",
    }
    letter = filled("Hello {{ name }},\n\n{{ url }}\n\n{{ name }}", **data)
    assert letter.html.count("href=") == 1
    assert 'href="https://p.example.org/x?a=1&amp;b=2"' in letter.html
    assert "href=" not in filled("{{ name }}", **{**data, "url": ""}).html
    own = fill_in(Words(subject="s", text="t", html="{{ name|urlize }} {{ url|urlize(40) }}"), data)
    assert own.html.count("href=") == own.html.count('href="https://p.example.org/x?a=1&amp;b=2"') == 1


def test_an_own_html_part_escapes_what_is_filled_in() -> None:
    words = Words(subject="{{ name }}", text="{{ name }}", html="<p>{{ name }}</p>")
    letter = fill_in(words, {"name": "<script>"})
    assert (letter.html, letter.text) == ("<p>&lt;script&gt;</p>", "<script>\n")


def test_a_subject_is_one_line() -> None:
    letter = fill_in(Words(subject="a\r\nBcc: {{ x }}", text="t"), {"x": "b\r\nc"})
    assert letter.subject == "a Bcc: b c"


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ name.__init__.__globals__ }}",
        "{{ 'x' * 1000000000 }}",
        "{{ 2 ** 999999999 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ name.upper() }}",
        "{{ range(9) }}",
        "{{ lipsum() }}",
        "{{ cycler }}",
        "{{ self.__init__ }}",
        "{{ name|attr('__class__') }}",
        "{{ name|center(99999999) }}",
        "{{ name|map('upper') }}",
        "{% include '/etc/passwd' %}",
        "{% import 'x' as y %}",
        "{{ nobody }}",
        "{{ name",
        "{% for x in 1 %}{% endfor %}",
        "{{ 1 / 0 }}",
        "{% for a in name %}{% for b in name %}{% for c in name %}x{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in name %}{% if a %}{% for b in name %}{% else %}{% for c in name %}x{% endfor %}{% endfor %}"
        "{% endif %}{% endfor %}",
        "{% set x %}{% for a in name %}x{% endfor %}{% endset %}",
        "{% filter upper %}{% if name %}{% for a in name %}x{% endfor %}{% endif %}{% endfilter %}",
        "{% for a in name recursive %}x{% endfor %}",
    ],
)
def test_what_is_more_than_filling_in_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be filled in") as refusal:
        filled(text, name="Ada")
    assert refusal.value.field == "text"


def test_what_is_refused_about_a_loop_says_what_and_where() -> None:
    with pytest.raises(InvalidInput, match=r"in line 2: at most 2 loops may stand in one another$"):
        filled("{{ name }}\n" + "{% for a in name %}" * 3 + "{% endfor %}" * 3, name="Ada")


def test_loops_that_fill_in_without_end_are_stopped_at_the_limit() -> None:
    limit = f"more than the {MAX_FILLED} characters"
    many = "x" * 1000
    loops = "{% for a in many %}{% for b in many %}and again {% endfor %}{% endfor %}"
    with pytest.raises(InvalidInput, match=limit) as refusal:
        filled(loops, many=many)
    assert refusal.value.field == "text"
    for words, field in (
        (Words(subject=loops, text="t"), "subject"),
        (Words(subject="s", text="t", html=loops), "html"),
    ):
        with pytest.raises(InvalidInput, match=limit) as refusal:
            fill_in(words, {"many": many})
        assert refusal.value.field == field
    assert len(filled("{{ many }}" * 99, many=many).text) == 99_001


def test_conditions_loops_and_filters_are_allowed() -> None:
    text = "{% if name %}{{ name|upper }}{% endif %}{% for x in names %}{{ x|default('-') }}{% endfor %}{{ 1 + 2 }}"
    assert filled(text, name="ada", names=["a", "b"]).text == "ADAab3\n"
