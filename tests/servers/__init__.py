"""Real servers for tests: found on the system or installed by apt, started on free ports, gone with the test run."""
