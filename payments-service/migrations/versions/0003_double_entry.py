"""A ledger entry is one row that names its two accounts, so that it balances by construction.

The migration moves the rows of `ledger_lines` into `ledger_entries` and drops the deferred checks at each
commit. A replica of an older release can no longer add entries: its insert fails, its transaction rolls back,
and a newer replica does the work. There is no downgrade.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

# The lock stops payments-service from adding entries during the migration. The migration refuses an entry
# without exactly two lines, because an operator has to correct it first.
MOVE = """
LOCK TABLE payments, ledger_entries, ledger_lines IN ACCESS EXCLUSIVE MODE;

DO $$
DECLARE
    odd uuid;
BEGIN
    SELECT id INTO odd FROM ledger_entries LEFT JOIN ledger_lines ON entry_id = id
    GROUP BY id HAVING count(entry_id) <> 2 OR sum(amount) <> 0 LIMIT 1;
    IF odd IS NOT NULL THEN
        RAISE EXCEPTION 'The ledger entry % is not of two lines that sum to zero.', odd;
    END IF;
END $$;

DROP TRIGGER ledger_entries_balance ON ledger_entries;
DROP TRIGGER ledger_entries_append_only ON ledger_entries;

ALTER TABLE ledger_entries
    ADD COLUMN debit text,
    ADD COLUMN credit text,
    -- Minor units.
    ADD COLUMN amount bigint;

UPDATE ledger_entries
SET debit = debits.account, credit = credits.account, amount = debits.amount
FROM ledger_lines AS debits, ledger_lines AS credits
WHERE debits.entry_id = id AND debits.amount > 0 AND credits.entry_id = id AND credits.amount < 0;

ALTER TABLE ledger_entries
    ALTER COLUMN debit SET NOT NULL,
    ALTER COLUMN credit SET NOT NULL,
    ALTER COLUMN amount SET NOT NULL,
    ADD CONSTRAINT ledger_entries_amount CHECK (amount > 0),
    ADD CONSTRAINT ledger_entries_accounts CHECK (debit <> credit);

CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();

DROP TABLE ledger_lines;
DROP FUNCTION check_ledger_entry();
"""


def upgrade() -> None:
    """Move the lines into the entries."""
    op.execute(MOVE)
