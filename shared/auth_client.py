"""Auth over HTTP, for the services other than auth-service."""

from shared.jwks import JwksClient
from shared.service_calls import ServiceTokens
from shared.settings import CallerSettings
from shared.sign_offs import SignOffsClient
from shared.tokens import Auth


def reach_auth(settings: CallerSettings) -> Auth:
    """Return clients of auth's public keys and of its signed-off list, which requires a service token."""
    secret = settings.client_secret.get_secret_value()
    tokens = ServiceTokens(settings.auth_url, settings.service, secret)
    return Auth(JwksClient(settings.auth_url), SignOffsClient(settings.auth_url, tokens))
