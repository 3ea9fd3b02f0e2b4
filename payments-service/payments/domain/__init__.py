"""The rules of payments and of the ledger as plain Python. Money is an integer in minor units."""
