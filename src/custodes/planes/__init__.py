"""The planes of the control room. Planes never import each other; app.py wires them."""
