"""The audit trail of auth-service."""

from shared.audit_trail import record

__all__ = ["record"]
