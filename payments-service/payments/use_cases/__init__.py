"""The use cases of payments-service, one function each.

A use case calls the provider between two transactions, never inside one. It commits what it is about to
request, so that after a crash the same request can be repeated under the same key.
"""
