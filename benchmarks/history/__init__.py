"""The past of an install, written straight into its tables: what would be there after so many requests."""
