"""How an administrator proves who they are."""
