"""The panels beside the canvas: operators, outline, inspector, problems."""
