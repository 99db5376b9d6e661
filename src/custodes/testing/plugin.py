"""pytest plugin of Custodes, shipped to users."""
