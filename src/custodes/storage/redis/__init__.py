"""Redis and Valkey: limits that all instances share, and what they tell each other. Never the only copy of anything."""
