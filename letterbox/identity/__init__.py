"""Who sent a message: SPF, DKIM and DMARC, through an asynchronous resolver."""

from letterbox.identity.domains import Domains
from letterbox.identity.prover import Proof, Prover
from letterbox.identity.spf import Spf

__all__ = ["Domains", "Proof", "Prover", "Spf"]
