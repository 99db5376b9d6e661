"""Outgoing webhooks: endpoint configurations."""
