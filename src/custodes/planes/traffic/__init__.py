"""API calls: rollups, percentiles, raw rows, error groups."""
