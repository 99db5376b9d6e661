"""Telemetry formats of other tools."""
