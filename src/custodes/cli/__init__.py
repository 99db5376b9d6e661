"""The custodes command."""
