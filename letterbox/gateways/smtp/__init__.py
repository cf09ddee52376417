"""The SMTP and LMTP gateways: bytes in, one intake call, replies out."""

from letterbox.gateways.smtp.gateway import SmtpGateway

__all__ = ["SmtpGateway"]
