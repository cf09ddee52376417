"""What senders learn: disclosure in one place, and the forms it is carried in."""
