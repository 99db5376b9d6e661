"""A small shop with Custodes mounted, and the clients that visit it: real traffic for a look around."""
