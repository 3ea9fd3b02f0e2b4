"""The domain of logs-service, in plain Python.

`log_records` defines records, `acceptance` turns a sender's record into a stored one, `severity` reads
levels, `search` and `histogram` describe what an admin looks for, and `retention` decides which partitions to
drop.
"""
