"""What to do about a certificate that nobody vouches for."""

from __future__ import annotations

_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"


def advise_on_certificate(error: Exception) -> str:
    """Say how to name an authority of one's own, where an error is about a certificate that was not believed."""
    if _UNTRUSTED not in str(error):
        return ""
    return ". Where an authority of your own has signed the certificate, name its PEM file in ca_file or in the variable SSL_CERT_FILE"
