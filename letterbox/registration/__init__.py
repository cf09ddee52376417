"""Vendors come to be: they register, and prove which domains are theirs."""

from letterbox.registration.domains import DomainProofs, Outcome, Verified
from letterbox.registration.vendors import Application, Full, Registration, Taken, Welcome

__all__ = [
    "Application",
    "DomainProofs",
    "Full",
    "Outcome",
    "Registration",
    "Taken",
    "Verified",
    "Welcome",
]
