"""What happens, as it happens, over all planes and instances."""
