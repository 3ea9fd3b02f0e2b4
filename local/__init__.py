"""The stack without Docker: PostgreSQL, the services and the gateway as child processes of one supervisor."""
