"""Everything that holds data. The only folder with SQL."""
