"""Rate limits, blocks and bans."""
