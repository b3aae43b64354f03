"""Jobs of the window: one at a time at the desk, small ones beside it."""
