"""Background work: what is to be done is stored, and any process of any instance does it."""
