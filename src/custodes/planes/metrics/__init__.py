"""Custom and system metrics as time series, and the health of each system."""
