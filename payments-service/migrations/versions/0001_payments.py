"""Payments, the ledger, and the charge records of the simulated provider."""

from alembic import op

revision = "0001"
down_revision = None

PAYMENTS = """
CREATE TABLE payments (
    id              uuid PRIMARY KEY DEFAULT uuidv7(),
    -- One payment per order, even with retries.
    order_id        uuid NOT NULL CONSTRAINT payments_order_id UNIQUE,
    status          text NOT NULL CHECK (status IN (
        'processing', 'requires_payment_method', 'requires_capture', 'succeeded', 'canceled')),
    customer        text,
    amount          bigint CHECK (amount > 0),
    currency        text,
    provider        text,
    payment_method  text,
    decline_code    text,
    amount_captured bigint NOT NULL DEFAULT 0 CHECK (amount_captured BETWEEN 0 AND coalesce(amount, 0)),
    amount_refunded bigint NOT NULL DEFAULT 0 CHECK (amount_refunded BETWEEN 0 AND amount_captured),
    created_at      timestamptz NOT NULL DEFAULT now(),
    -- An order that was closed before its payment began has a row without a payment, so that a payment that
    -- arrives later finds the order closed.
    CHECK (num_nulls(customer, amount, currency, provider, payment_method) = 0
        OR num_nulls(customer, amount, currency, provider, payment_method) = 5 AND status = 'canceled')
);

CREATE INDEX payments_customer ON payments (customer, id);
"""

LEDGER = """
CREATE TABLE ledger_entries (
    id         uuid PRIMARY KEY DEFAULT uuidv7(),
    payment_id uuid NOT NULL REFERENCES payments (id),
    -- The name of the movement; the ledger records each movement of a payment once.
    movement   text NOT NULL,
    currency   text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ledger_entries_movement UNIQUE (payment_id, movement)
);

CREATE TABLE ledger_lines (
    entry_id uuid NOT NULL REFERENCES ledger_entries (id),
    account  text NOT NULL,
    -- Minor units: a debit is positive, a credit negative.
    amount   bigint NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (entry_id, account)
);

-- The argument is the column with the id of the entry.
CREATE FUNCTION check_ledger_entry() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entry uuid = to_jsonb(NEW) ->> TG_ARGV[0];
BEGIN
    IF (SELECT count(*) = 0 OR sum(amount) <> 0 FROM ledger_lines WHERE entry_id = entry) THEN
        RAISE EXCEPTION 'The ledger entry % does not balance.', entry USING ERRCODE = 'check_violation';
    END IF;
    -- now() is the start of the transaction, so a different time means that a different one made the entry.
    IF (SELECT created_at <> now() FROM ledger_entries WHERE id = entry) THEN
        RAISE EXCEPTION 'The ledger entry % is closed.', entry USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

-- Deferred, because an entry and its lines are separate rows: they must balance at commit.
CREATE CONSTRAINT TRIGGER ledger_entries_balance AFTER INSERT ON ledger_entries
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_ledger_entry('id');
CREATE CONSTRAINT TRIGGER ledger_lines_balance AFTER INSERT ON ledger_lines
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_ledger_entry('entry_id');

CREATE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The ledger is only ever added to.' USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
CREATE TRIGGER ledger_lines_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_lines
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
"""

CHARGE_RECORDS = """
-- The charge records of the simulated provider. No other table refers to them, because a real provider
-- stores its own.
CREATE TABLE simulated_charges (
    key             text PRIMARY KEY,
    amount          bigint NOT NULL CHECK (amount > 0),
    currency        text NOT NULL,
    payment_method  text NOT NULL,
    decline_code    text,
    released        boolean NOT NULL DEFAULT false,
    amount_captured bigint NOT NULL DEFAULT 0 CHECK (amount_captured IN (0, amount)),
    amount_refunded bigint NOT NULL DEFAULT 0 CHECK (amount_refunded BETWEEN 0 AND amount_captured),
    created_at      timestamptz NOT NULL DEFAULT now(),
    CHECK (decline_code IS NULL OR amount_captured = 0),
    CHECK (NOT released OR amount_refunded = amount_captured)
);
"""


def upgrade() -> None:
    """Create the tables."""
    for part in (PAYMENTS, LEDGER, CHARGE_RECORDS):
        op.execute(part)
