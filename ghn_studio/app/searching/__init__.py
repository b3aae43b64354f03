"""Finding things by a few typed letters. No Qt."""
