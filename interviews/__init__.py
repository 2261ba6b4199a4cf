"""One interview: what is stored when, and what the model is asked."""
