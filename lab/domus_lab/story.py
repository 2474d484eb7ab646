"""`make lab`: the demo's story with a real Xen dom0, up to a log-in on the VPS that was ordered."""

import json
import signal
from typing import Any

from rich.console import Console

from domus.core.clock import utc_now
from domus.workflows import accounts
from domus_lab.world import IMAGE, LabWorld
from domus_stack.customer import Credentials, Customer, new_password
from domus_stack.story import progress_on, sign_in

HOSTNAME = "shop.example.org"
CUSTOMER_NAME = "Ada's Bakery"


def tell(*, once: bool, template: str = IMAGE) -> None:
    """Tell the story; stay until Ctrl-C, or (once) end with the facts as one line of JSON."""
    console = Console(highlight=False)

    def say(text: str) -> None:
        console.print(text, markup=False)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with LabWorld(say=say) as world:
        say(f"Ada orders {HOSTNAME} at {world.stack.panel.url} and pays it at the test gateway.")
        customer, people = _people(world)
        with progress_on(console, HOSTNAME) as show:
            ordered = world.order(customer, HOSTNAME, template=template, show=show)
        facts = world.dom0.facts()
        told: dict[str, Any] = {
            **ordered.status,
            "seconds_paid_to_ssh": ordered.seconds_paid_to_ssh,
            "dom0_memory_mib": facts.dom0_memory_mib,
            "dom0_available_mib": facts.dom0_available_mib,
            "xen_version": facts.xen_version,
        }
        if not once:
            say(
                f"\nIt let us in at {ordered.address} by ssh key and by password, "
                f"{ordered.seconds_paid_to_ssh} s after it was paid.\n"
            )
            for who, credentials in people.items():
                say(f"  {who:9} {world.stack.panel.url}/login   {credentials.email}   {credentials.password}")
            say("\n  In another terminal: .venv/bin/python -m domus_lab ssh.  Ctrl-C ends everything.")
            signal.pause()
    print(json.dumps(told), flush=True)


def _people(world: LabWorld) -> tuple[Customer, dict[str, Credentials]]:
    people = {who: Credentials(f"{who}@domus.example", new_password()) for who in ("operator", "customer")}
    accounts.create_operator(
        world.stack.database,
        email=people["operator"].email,
        password=people["operator"].password,
        must_change=False,
        now=utc_now(),
    )
    return sign_in(world.stack.panel.url, CUSTOMER_NAME, people["customer"], is_new=True), people
