"""The admin API and its pages."""
