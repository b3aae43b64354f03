"""Finding commands and nodes by typing."""
