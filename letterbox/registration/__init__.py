"""Vendors come to be: they register, prove which domains are theirs, and say where to call them."""

from letterbox.registration.domains import DomainProofs, Outcome, Verified
from letterbox.registration.endpoints import Endpoints
from letterbox.registration.keys import MOST_KEYS, Keys, TooManyKeys
from letterbox.registration.vendors import Application, Full, Registration, Taken, Welcome

__all__ = [
    "MOST_KEYS",
    "Application",
    "DomainProofs",
    "Endpoints",
    "Full",
    "Keys",
    "Outcome",
    "Registration",
    "Taken",
    "TooManyKeys",
    "Verified",
    "Welcome",
]
