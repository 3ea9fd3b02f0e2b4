"""A database on which applications stand for many tests, and whose rows come back between them."""

import psycopg
from psycopg.rows import DictRow, dict_row

# A lock that the test before still holds fails the next one, which would otherwise wait without end.
PATIENCE = "20s"


class Standing:
    """A database that one test after the other uses, while applications keep their connections to it.

    Its rows are deleted and written anew. To truncate takes twenty times as long: each table gets new files,
    and each connection plans its statements again.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection: psycopg.Connection[DictRow] = psycopg.connect(
            url, autocommit=True, row_factory=dict_row, options=f"-c lock_timeout={PATIENCE}"
        )
        self.connection.execute("CREATE SCHEMA standing")
        # As a replica no trigger refuses, and no foreign key asks for an order.
        self.connection.execute(
            "CREATE FUNCTION standing.restore() RETURNS void LANGUAGE plpgsql"
            f" SET session_replication_role = replica AS $$ BEGIN {self._keep_rows()} END $$"
        )

    def restore(self) -> None:
        """Bring the rows and the sequences back to what they were when this began."""
        self.connection.execute("SELECT standing.restore()")

    def close(self) -> None:
        """Give the connection back."""
        self.connection.close()

    def _keep_rows(self) -> str:
        """Keep the rows that there are; return the statements that bring them back."""
        deleted, written = [], []
        tables = "SELECT format('%I', tablename) AS name FROM pg_tables WHERE schemaname = 'public'"
        for row in self.connection.execute(tables).fetchall():
            table = row["name"]
            deleted.append(f"DELETE FROM public.{table};")
            made = self.connection.execute(f"CREATE TABLE standing.{table} AS TABLE public.{table}")
            if made.rowcount:
                written.append(f"INSERT INTO public.{table} SELECT * FROM standing.{table};")
        sequences = """
            SELECT format(
                'PERFORM setval(%L, %s, %L);',
                format('%I.%I', schemaname, sequencename),
                coalesce(last_value, start_value),
                last_value IS NOT NULL
            ) AS reset
            FROM pg_sequences WHERE schemaname = 'public'
        """
        reset = [row["reset"] for row in self.connection.execute(sequences)]
        return " ".join([*deleted, *written, *reset])
