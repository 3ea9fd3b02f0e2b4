"""Measure the shop's speed and memory: `make bench`."""
