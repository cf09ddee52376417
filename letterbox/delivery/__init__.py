"""What happens after the answer: releasing what is held, carrying feedback, forgetting."""
