"""Access: credentials, the policy of each view, and limits."""
