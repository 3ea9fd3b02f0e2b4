"""How fast the shop is, and how much memory it takes: `make bench`."""
