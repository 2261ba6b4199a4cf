"""Everything that is kept on one person, or under one access key, to be taken away."""
