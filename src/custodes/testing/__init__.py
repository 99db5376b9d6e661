"""Parts for users' own tests: FakeClock, signed_webhook(), an in-memory Custodes."""
