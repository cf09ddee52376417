"""What the inner floors need of the outside: small protocols, implemented by the adapters."""
