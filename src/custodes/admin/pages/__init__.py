"""The pages served without a build: login, password, status."""
