"""What must hold in the database after every step, whatever happened: each check is one query, and names what broke."""

from __future__ import annotations

import sqlalchemy as sa

from domus.db.engine import Database

#: Each query returns the rows that must not be there.
_BROKEN = {
    "a paid order without exactly one VPS": """
        SELECT o.id FROM order_ o LEFT JOIN vps v ON v.order_id = o.id
        WHERE o.state IN ('paid', 'fulfilled') GROUP BY o.id
        HAVING count(v.id) <> 1 OR max(v.state) IN ('reserved', 'cancelled')""",
    "a VPS that does not fit its order": """
        SELECT v.id FROM vps v JOIN order_ o ON o.id = v.order_id WHERE NOT (
            (o.state = 'placed' AND v.state = 'reserved') OR (o.state = 'cancelled' AND v.state = 'cancelled')
            OR (o.state = 'paid' AND v.state IN ('provisioning', 'provision_failed'))
            OR (o.state = 'fulfilled' AND v.state = 'active')
            OR (o.state = 'fulfilled' AND v.state IN ('removing', 'removed') AND EXISTS (
                SELECT 1 FROM subscription s WHERE s.order_id = o.id AND s.ended_on IS NOT NULL))
            OR (o.state = 'refunded' AND v.state IN ('removing', 'removed')))""",
    "a living VPS without exactly one IPv4 address, or a dead one with any": """
        SELECT v.id FROM vps v LEFT JOIN ip_address a ON a.vps_id = v.id AND a.address NOT LIKE '%:%'
        GROUP BY v.id, v.state
        HAVING count(a.id) <> CASE WHEN v.state IN ('removed', 'cancelled') THEN 0 ELSE 1 END""",
    "an address held by nobody that exists": """
        SELECT a.id FROM ip_address a LEFT JOIN vps v ON v.id = a.vps_id
        WHERE a.vps_id IS NOT NULL AND v.id IS NULL""",
    "an address that is not as far as its VPS": """
        SELECT a.id FROM ip_address a JOIN vps v ON v.id = a.vps_id
        WHERE (a.state = 'reserved') <> (v.state = 'reserved')""",
    "an assigned address without open history, or the reverse": """
        SELECT a.address FROM ip_address a
        LEFT JOIN address_history h ON h.address = a.address AND h.until_at IS NULL
        WHERE (a.state = 'assigned') <> (h.id IS NOT NULL) OR a.vps_id <> h.vps_id""",
    "a living VPS without a reservation on its dom0, or a dead one with one": """
        SELECT v.id FROM vps v LEFT JOIN reservation r ON r.vps_id = v.id AND r.dom0_id = v.dom0_id
        WHERE (v.state IN ('removed', 'cancelled')) = (r.vps_id IS NOT NULL)""",
    "a dom0 whose sums are not those of its reservations": """
        SELECT d.id FROM dom0 d LEFT JOIN reservation r ON r.dom0_id = d.id
        GROUP BY d.id, d.memory_reserved_mib, d.disk_reserved_mib, d.vcpus_reserved
        HAVING coalesce(sum(r.memory_mib), 0) <> d.memory_reserved_mib
            OR coalesce(sum(r.disk_mib), 0) <> d.disk_reserved_mib
            OR coalesce(sum(r.vcpus), 0) <> d.vcpus_reserved""",
    "an oversold dom0": """
        SELECT id FROM dom0 WHERE memory_reserved_mib > memory_capacity_mib
            OR disk_reserved_mib > disk_capacity_mib OR vcpus_reserved > vcpus_capacity""",
    "a booking that does not sum to zero": """
        SELECT transaction_id FROM ledger_entry GROUP BY transaction_id, currency HAVING sum(amount_minor) <> 0""",
    "an order without exactly one invoice, or one that is not as far as it": """
        SELECT o.id FROM order_ o LEFT JOIN invoice i ON i.order_id = o.id GROUP BY o.id, o.state
        HAVING count(i.id) <> 1 OR max(i.state) <> CASE o.state WHEN 'placed' THEN 'open'
            WHEN 'cancelled' THEN 'cancelled' ELSE 'paid' END""",
    "a paid order without exactly one payment, or another one with any": """
        SELECT o.id FROM order_ o LEFT JOIN invoice i ON i.order_id = o.id LEFT JOIN payment p ON p.invoice_id = i.id
        GROUP BY o.id, o.state
        HAVING count(p.id) <> CASE WHEN o.state IN ('placed', 'cancelled') THEN 0 ELSE 1 END
            OR max(p.state) <> CASE o.state WHEN 'refunded' THEN 'refunded' ELSE 'confirmed' END""",
    "a paid order without exactly one contract, or a refunded one that goes on": """
        SELECT o.id FROM order_ o LEFT JOIN subscription s ON s.order_id = o.id GROUP BY o.id, o.state
        HAVING count(s.id) <> CASE WHEN o.state IN ('placed', 'cancelled') THEN 0 ELSE 1 END
            OR (o.state = 'refunded' AND count(s.ended_on) = 0)""",
    "a contract that ended while its VPS goes on, or the reverse": """
        SELECT s.id FROM subscription s JOIN vps v ON v.order_id = s.order_id
        WHERE (s.ended_on IS NOT NULL) <> (v.state IN ('removing', 'removed'))""",
    "a renewal that is not as far as its invoice": """
        SELECT r.invoice_id FROM renewal r JOIN invoice i ON i.id = r.invoice_id WHERE i.state <> CASE
            WHEN r.settled_at IS NOT NULL THEN 'paid' WHEN r.withdrawn_at IS NOT NULL THEN 'cancelled' ELSE 'open' END
            AND NOT (r.withdrawn_at IS NOT NULL AND i.state = 'paid' AND i.gross_minor = (
                SELECT sum(c.gross_minor) FROM credit_note c WHERE c.invoice_id = i.id))""",
    "a contract that is not paid until where its last paid renewal ends": """
        SELECT s.id FROM subscription s JOIN renewal r ON r.subscription_id = s.id AND r.settled_at IS NOT NULL
        GROUP BY s.id, s.paid_until HAVING max(r.ends_on) <> s.paid_until""",
    "two open runs on one dom0": """
        SELECT dom0_id FROM dom0_run WHERE ended_at IS NULL GROUP BY dom0_id HAVING count(*) > 1""",
    "two open jobs of one kind for one VPS": """
        SELECT vps_id FROM job WHERE state IN ('queued', 'running') GROUP BY vps_id, kind HAVING count(*) > 1""",
    "an open job of a VPS that is gone, or whose revision holds": """
        SELECT j.id FROM job j JOIN vps v ON v.id = j.vps_id
        WHERE j.state IN ('queued', 'running') AND (v.state IN ('removed', 'cancelled')
            OR (j.revision <= v.applied_revision AND v.state <> 'removing'))""",
    "an open job that does not fit where its VPS is": """
        SELECT j.id FROM job j JOIN vps v ON v.id = j.vps_id
        WHERE j.state IN ('queued', 'running') AND v.state <> CASE j.kind
            WHEN 'provision' THEN 'provisioning' WHEN 'remove' THEN 'removing' ELSE 'active' END""",
    "two open power jobs of one VPS": """
        SELECT vps_id FROM job WHERE state IN ('queued', 'running')
            AND kind IN ('start', 'shutdown', 'power_off', 'reboot') GROUP BY vps_id HAVING count(*) > 1""",
    "a VPS being made without an open job": """
        SELECT v.id FROM vps v WHERE v.state = 'provisioning' AND NOT EXISTS (
            SELECT 1 FROM job j WHERE j.vps_id = v.id AND j.kind = 'provision' AND j.state IN ('queued', 'running'))""",
    "a VPS whose last row of history is not its state": """
        SELECT v.id FROM vps v LEFT JOIN vps_transition t ON t.vps_id = v.id AND t.kind = 'state'
            AND t.id = (SELECT max(id) FROM vps_transition WHERE vps_id = v.id AND kind = 'state')
        WHERE v.state <> coalesce(t.new, 'reserved')""",
    "a tombstone without a removal, or a removal without a tombstone": """
        SELECT id FROM vps WHERE (tombstone_token IS NOT NULL) <> (state IN ('removing', 'removed'))""",
    "a VPS that is gone and whose password is not": """
        SELECT id FROM vps WHERE state IN ('removed', 'cancelled') AND root_password_hash IS NOT NULL""",
    "an order number that is missing": """
        SELECT count(*) FROM order_ HAVING count(*) > 0 AND max(number) <> count(*)""",
}  # fmt: skip


def broken(db: Database) -> list[str]:
    """Return what does not hold; empty is good."""
    with db.reading() as session:
        return [
            name for name, query in _BROKEN.items() if session.execute(sa.text(query)).first() is not None
        ]
