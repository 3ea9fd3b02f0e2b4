"""Bodies of the routes for two-factor authentication."""

from pydantic import BaseModel, ConfigDict, Field

from auth.domain.totp import RECOVERY_CODES
from shared.schemas import Body, Line, Text, example

LONGEST_CODE = 64  # Characters; people type spaces and hyphens.


class TotpBeginning(Body):
    """The current password."""

    model_config = ConfigDict(json_schema_extra=example({"current_password": "correct horse battery"}))

    current_password: Text = Field(max_length=1024)


class TotpSecret(BaseModel):
    """A new secret, which only this response contains.

    An authenticator app reads the secret itself, its `otpauth` address, or the QR code of that address. Each
    row of `qr` has a `1` for a dark module and a `0` for a light one; draw four light modules around it.
    """

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra=example(
            {
                "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
                "uri": "otpauth://totp/shop.example:ada?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=shop.example",
                "qr": ["1111111010011", "1000001001110"],
            }
        ),
    )

    secret: str
    uri: str
    qr: list[str]


class TotpConfirmation(Body):
    """A code of the authenticator app."""

    model_config = ConfigDict(json_schema_extra=example({"code": "492039"}))

    code: Line = Field(max_length=LONGEST_CODE)


class RecoveryCodes(BaseModel):
    """Recovery codes, which only this response contains; each is good for one log-in without the app."""

    model_config = ConfigDict(
        json_schema_extra=example({"recovery_codes": ["7h2m-x0qd-93sk-ev5a", "c41t-8wyn-j6pz-rb2f"]})
    )

    recovery_codes: list[str] = Field(description=f"{RECOVERY_CODES} codes.")


class TotpEnd(Body):
    """The current password, and a code of the authenticator app or a recovery code."""

    model_config = ConfigDict(
        json_schema_extra=example({"current_password": "correct horse battery", "code": "492039"})
    )

    current_password: Text = Field(max_length=1024)
    code: Line = Field(max_length=LONGEST_CODE)
