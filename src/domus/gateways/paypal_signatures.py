"""Did PayPal make this delivery? It signs with a key whose certificate it names in a header, on a server of its own."""

from __future__ import annotations

import base64
import binascii
import re
import threading
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import requests
import urllib3
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from domus.gateways.interface import Delivery, DeliveryRefused, GatewayUnavailable

PREFIX = "paypal-"
HEADERS = tuple(
    PREFIX + name for name in ("transmission-id", "transmission-time", "transmission-sig", "cert-url", "auth-algo")
)  # fmt: skip
#: PayPal delivers again for three days.
OLDEST, NEWEST = timedelta(days=4), timedelta(minutes=10)

MAX_CERTIFICATE_BYTES = 64 * 1024
MAX_CERTIFICATES = 16
_PATH = re.compile(r"/v1/notifications/certs/[A-Za-z0-9_-]{1,100}")


class Signatures:
    """Checks deliveries to one webhook. Certificates are fetched from *origins* only, and kept."""

    def __init__(self, webhook_id: str, *, origins: tuple[str, ...]) -> None:
        self._webhook_id = webhook_id
        self._origins = origins
        self._kept: dict[str, x509.Certificate] = {}
        self._lock = threading.Lock()

    def check(self, delivery: Delivery, *, now: datetime) -> Mapping[str, str]:
        """Return the headers that were signed; raise DeliveryRefused unless PayPal made the delivery, and lately."""
        said = {name: delivery.headers.get(name, "") for name in HEADERS}
        missing = [name for name, value in said.items() if not value]
        if missing:
            raise DeliveryRefused(f"The header {missing[0]} is missing.")
        if said[PREFIX + "auth-algo"] != "SHA256withRSA":
            raise DeliveryRefused("The header paypal-auth-algo has to be SHA256withRSA.")
        self._check_time(said[PREFIX + "transmission-time"], now)
        certificate = self._certificate(said[PREFIX + "cert-url"])
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise DeliveryRefused("The certificate of the signature has expired.")
        signed = "|".join(
            (
                said[PREFIX + "transmission-id"],
                said[PREFIX + "transmission-time"],
                self._webhook_id,
                str(zlib.crc32(delivery.body)),
            )
        )
        key = certificate.public_key()
        try:
            if not isinstance(key, RSAPublicKey):
                raise DeliveryRefused("The certificate of the signature is of another kind.")
            signature = base64.b64decode(said[PREFIX + "transmission-sig"], validate=True)
            key.verify(signature, signed.encode(), PKCS1v15(), SHA256())
        except (InvalidSignature, binascii.Error, ValueError) as error:
            raise DeliveryRefused("The signature is wrong.") from error
        return said

    @staticmethod
    def _check_time(text: str, now: datetime) -> None:
        try:
            sent = datetime.fromisoformat(text)
        except ValueError:
            raise DeliveryRefused("The header paypal-transmission-time is not a time.") from None
        if sent.tzinfo is None or not now - OLDEST <= sent <= now + NEWEST:
            raise DeliveryRefused("The delivery is older than four days, or the clocks differ.")

    def _certificate(self, url: str) -> x509.Certificate:
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" not in self._origins or not _PATH.fullmatch(parts.path):
            raise DeliveryRefused("The certificate of the signature does not lie at PayPal.")
        address = f"{parts.scheme}://{parts.netloc}{parts.path}"
        with self._lock:
            kept = self._kept.get(address)
        if kept is not None:
            return kept
        certificate = _fetch(address)
        with self._lock:
            if len(self._kept) >= MAX_CERTIFICATES:
                self._kept.clear()
            self._kept[address] = certificate
        return certificate


def _fetch(url: str) -> x509.Certificate:
    try:
        with requests.Session() as session:
            session.trust_env = False
            with session.get(url, timeout=(5, 10), allow_redirects=False, stream=True) as answer:
                if answer.status_code in (400, 404):
                    raise DeliveryRefused("There is no such certificate at PayPal.")
                if answer.status_code != 200:
                    raise GatewayUnavailable(f"PayPal answered {answer.status_code} for its certificate.")
                content = answer.raw.read(MAX_CERTIFICATE_BYTES + 1, decode_content=True)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise GatewayUnavailable(f"PayPal's certificate cannot be had: {type(error).__name__}.") from error
    try:
        return x509.load_pem_x509_certificates(content[:MAX_CERTIFICATE_BYTES])[0]
    except (ValueError, IndexError) as error:
        raise DeliveryRefused("What lies at PayPal there is no certificate.") from error
