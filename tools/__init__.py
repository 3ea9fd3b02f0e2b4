"""Commands that an operator runs against a shop: check the books, run the demo, make a certificate."""
