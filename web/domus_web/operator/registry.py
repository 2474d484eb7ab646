"""Which lists the panel has, in the order of its menu: heading > (label, model, view, address)."""

from __future__ import annotations

from domus.accounts.models import Account, AuditEvent, User
from domus.billing.models import CreditNote, Invoice, LedgerTransaction, Order, Payment, Subscription
from domus.catalog.models import Addon, OsTemplate, Price, Product
from domus.commissions.models import Commission, CommissionRate
from domus.coupons.models import Coupon
from domus.gateways.models import (
    BankLine,
    Dispute,
    GatewayEvent,
    GatewayRefund,
    GatewayRefusal,
    PaymentAttempt,
)
from domus.inventory.models import Dom0, IpAddress, IpPool, Location
from domus.mail.models import MailTemplate, OutgoingMail
from domus.provisioning.models import Dom0Run, Job, OutboxMessage
from domus.renewals.models import RenewalTerms
from domus.tax.models import Company, InvoicingCountry, TaxRate
from domus.vps.models import Vps
from domus_web.admin.accounts import AccountView
from domus_web.admin.addons import AddonView
from domus_web.admin.addresses import AddressView
from domus_web.admin.books import CreditNoteView, InvoiceView, LedgerView, PaymentView
from domus_web.admin.commissions import CommissionRateView, CommissionView
from domus_web.admin.companies import CompanyView, InvoicingView, RateView
from domus_web.admin.contracts import ContractView
from domus_web.admin.coupons import CouponView
from domus_web.admin.dom0s import Dom0View
from domus_web.admin.gateways import (
    AttemptView,
    BankLineView,
    DisputeView,
    GatewayEventView,
    RefundView,
    RefusalView,
)
from domus_web.admin.jobs import JobView
from domus_web.admin.locations import LocationView
from domus_web.admin.logs import AuditView, OutboxView, RunView
from domus_web.admin.mails import MailTemplateView, MailView
from domus_web.admin.orders import OrderView
from domus_web.admin.os_templates import OsTemplateView
from domus_web.admin.pools import PoolView
from domus_web.admin.prices import PriceView
from domus_web.admin.products import ProductView
from domus_web.admin.renewal_terms import RenewalTermsView
from domus_web.admin.users import UserView
from domus_web.admin.vps import VpsView
from domus_web.operator.view import OperatorView

Entry = tuple[str, type, type[OperatorView], str]

SECTIONS: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "Service",
        (
            ("VPSs", Vps, VpsView, "vps"),
            ("Orders", Order, OrderView, "orders"),
            ("Contracts", Subscription, ContractView, "contracts"),
            ("Jobs", Job, JobView, "jobs"),
        ),
    ),
    (
        "Customers",
        (
            ("Accounts", Account, AccountView, "accounts"),
            ("Users", User, UserView, "users"),
        ),
    ),
    (
        "Machines",
        (
            ("Dom0s", Dom0, Dom0View, "dom0s"),
            ("Locations", Location, LocationView, "locations"),
            ("IP pools", IpPool, PoolView, "pools"),
            ("Addresses", IpAddress, AddressView, "addresses"),
        ),
    ),
    (
        "Catalogue",
        (
            ("Products", Product, ProductView, "products"),
            ("Prices", Price, PriceView, "prices"),
            ("Add-ons", Addon, AddonView, "addons"),
            ("Coupons", Coupon, CouponView, "coupons"),
            ("Commission rates", CommissionRate, CommissionRateView, "commission-rates"),
            ("Renewal days", RenewalTerms, RenewalTermsView, "renewal-days"),
            ("OS templates", OsTemplate, OsTemplateView, "templates"),
        ),
    ),
    (
        "Books",
        (
            ("Invoices", Invoice, InvoiceView, "invoices"),
            ("Credit notes", CreditNote, CreditNoteView, "credit-notes"),
            ("Payments", Payment, PaymentView, "payments"),
            ("Commissions", Commission, CommissionView, "commissions"),
            ("Ledger", LedgerTransaction, LedgerView, "ledger"),
            ("Companies", Company, CompanyView, "companies"),
            ("Invoicing", InvoicingCountry, InvoicingView, "invoicing"),
            ("Tax rates", TaxRate, RateView, "tax-rates"),
        ),
    ),
    (
        "Gateways",
        (
            ("Transfers", BankLine, BankLineView, "transfers"),
            ("Attempts", PaymentAttempt, AttemptView, "attempts"),
            ("Events", GatewayEvent, GatewayEventView, "gateway-events"),
            ("Turned away", GatewayRefusal, RefusalView, "refusals"),
            ("Refunds", GatewayRefund, RefundView, "refunds"),
            ("Disputes", Dispute, DisputeView, "disputes"),
        ),
    ),
    (
        "Mail",
        (
            ("Mails", OutgoingMail, MailView, "mails"),
            ("Words", MailTemplate, MailTemplateView, "mail-templates"),
        ),
    ),
    (
        "Logs",
        (
            ("History", AuditEvent, AuditView, "audit"),
            ("Messages", OutboxMessage, OutboxView, "messages"),
            ("Runs", Dom0Run, RunView, "runs"),
        ),
    ),
)
