"""What is written down, written once over the store port."""
