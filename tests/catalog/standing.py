"""A catalogue whose rows come back between tests, though products have columns that the database computes."""

from tests.databases import Standing

TABLES = """
    SELECT format('%I', tablename) AS name, (
        SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = format('public.%I', tablename)::regclass
        AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
    ) AS columns
    FROM pg_tables WHERE schemaname = 'public'
"""
SEQUENCES = """
    SELECT format(
        'PERFORM setval(%L, %s, %L);',
        format('%I.%I', schemaname, sequencename),
        coalesce(last_value, start_value),
        last_value IS NOT NULL
    ) AS reset
    FROM pg_sequences WHERE schemaname = 'public'
"""


class StandingCatalogue(Standing):
    """A database whose rows come back, but only those that a test has changed.

    To write a product is dear, since it is in many indexes.
    """

    def _keep_rows(self) -> str:
        deleted, written = [], []
        for row in self.connection.execute(TABLES).fetchall():
            table, columns = row["name"], row["columns"]
            kept = f"standing.{table}"
            made = self.connection.execute(f"CREATE TABLE {kept} AS TABLE public.{table}")
            if not made.rowcount:
                deleted.append(f"DELETE FROM public.{table};")
                continue
            assert columns, f"The rows of {table} have nothing in them by which to bring them back."
            deleted.append(
                f"DELETE FROM public.{table} AS now"
                f" WHERE now::text NOT IN (SELECT kept::text FROM {kept} AS kept);"
            )
            written.append(
                f"INSERT INTO public.{table} ({columns}) OVERRIDING SYSTEM VALUE"
                f" SELECT {columns} FROM {kept} AS kept"
                f" WHERE kept::text NOT IN (SELECT now::text FROM public.{table} AS now);"
            )
        reset = [row["reset"] for row in self.connection.execute(SEQUENCES)]
        return " ".join([*deleted, *written, *reset])
