"""What payments-service does, a function each.

A provider is asked between two transactions and never inside one. What it is asked for is committed before
the first question, so that after a crash the question can be asked again under the same key.
"""
