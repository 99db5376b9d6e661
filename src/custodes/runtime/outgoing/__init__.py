"""Requests that we send: one client for all of them, guarded against being sent where nobody may go."""
