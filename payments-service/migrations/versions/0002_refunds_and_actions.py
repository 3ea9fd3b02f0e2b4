"""Bank authentication, refunds, idempotency keys, provider events, and the sweep."""

from alembic import op

revision = "0002"
down_revision = "0001"

PAYMENTS = """
ALTER TABLE payments
    -- What the customer has to do before the bank decides.
    ADD COLUMN next_action jsonb,
    -- The provider's id, if it differs from ours.
    ADD COLUMN provider_reference text,
    -- Set by a cancel before it calls the provider; it blocks authorizations, captures and new refunds.
    ADD COLUMN is_closing boolean NOT NULL DEFAULT false,
    -- Reserved for pending refunds.
    ADD COLUMN amount_refunding bigint NOT NULL DEFAULT 0 CHECK (amount_refunding >= 0),
    -- The time of the next check by the sweep; NULL if the payment needs no check.
    ADD COLUMN look_at timestamptz,
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now(),
    ADD CONSTRAINT payments_refundable CHECK (amount_refunded + amount_refunding <= amount_captured),
    DROP CONSTRAINT payments_status_check,
    ADD CONSTRAINT payments_status_check CHECK (status IN ('processing', 'requires_action',
        'requires_payment_method', 'requires_capture', 'succeeded', 'canceled'));

CREATE INDEX payments_due ON payments (look_at) WHERE look_at IS NOT NULL;
CREATE UNIQUE INDEX payments_provider_reference ON payments (provider_reference)
    WHERE provider_reference IS NOT NULL;

CREATE TABLE refunds (
    -- The caller's id, so that a retry names the same refund.
    id          uuid PRIMARY KEY,
    payment_id  uuid NOT NULL REFERENCES payments (id),
    amount      bigint NOT NULL CHECK (amount > 0),
    status      text NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')),
    decline_code text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX refunds_of_payment ON refunds (payment_id);
"""

KEYS_EVENTS_AND_JOBS = """
CREATE TABLE idempotency_keys (
    principal     text NOT NULL,
    route         text NOT NULL,
    -- The hash of the key, because a key may contain confidential data.
    key           text NOT NULL,
    fingerprint   text NOT NULL,
    -- Until then a request works on the response; later a retry takes the call over.
    claimed_until timestamptz NOT NULL,
    status        int,
    content_type  text,
    body          bytea,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (principal, route, key)
);

-- The events that a provider has sent, by the provider's ids.
CREATE TABLE provider_events (
    id          text PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now()
);

-- Periodic jobs, which the first replica that finds them due performs.
CREATE TABLE jobs (
    name     text PRIMARY KEY,
    next_at  timestamptz NOT NULL DEFAULT now(),
    -- The time up to which the job is done.
    position timestamptz NOT NULL DEFAULT now()
);
INSERT INTO jobs (name) VALUES ('reconcile'), ('forget');
"""

CHARGE_RECORDS = """
ALTER TABLE simulated_charges
    ADD COLUMN awaits_customer boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT simulated_charges_taken CHECK (NOT awaits_customer OR amount_captured = 0);

CREATE TABLE simulated_refunds (
    key        text PRIMARY KEY,
    charge_key text NOT NULL REFERENCES simulated_charges (key),
    amount     bigint NOT NULL CHECK (amount > 0),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The faults that have occurred: each occurs once per step of a charge.
CREATE TABLE simulated_faults (
    key  text NOT NULL,
    step text NOT NULL,
    PRIMARY KEY (key, step)
);
"""


def upgrade() -> None:
    """Add the columns and tables."""
    for part in (PAYMENTS, KEYS_EVENTS_AND_JOBS, CHARGE_RECORDS):
        op.execute(part)
