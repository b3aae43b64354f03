"""Nothing is lost: recovery copies, questions before closing, and errors nobody caught."""
