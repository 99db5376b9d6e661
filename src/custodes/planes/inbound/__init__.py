"""Incoming webhooks: verified, stored before the 2xx, handled until done."""
