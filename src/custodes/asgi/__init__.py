"""The ASGI doors: middleware, webhook ingress, mount."""
