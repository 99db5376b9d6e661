"""Sources of webhooks: who sends, and how its signature is checked."""
