"""Who may administer: profiles, roles, sessions, API keys."""
