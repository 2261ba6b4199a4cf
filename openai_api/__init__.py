"""The wire to an OpenAI model, and a stand-in for it; knows no interview."""
