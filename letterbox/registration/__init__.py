"""Vendors come to be: they register, prove which domains are theirs, and say where to call them."""

from letterbox.registration.domains import DomainProofs, Outcome, Verified
from letterbox.registration.endpoints import Endpoints
from letterbox.registration.vendors import Application, Full, Registration, Taken, Welcome

__all__ = [
    "Application",
    "DomainProofs",
    "Endpoints",
    "Full",
    "Outcome",
    "Registration",
    "Taken",
    "Verified",
    "Welcome",
]
