"""The security and compliance trail."""
