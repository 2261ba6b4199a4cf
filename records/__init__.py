"""Records of what people decide about applicants."""
