"""What a prediction came to, and why."""
