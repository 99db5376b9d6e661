"""Admin routes, one module per plane."""
