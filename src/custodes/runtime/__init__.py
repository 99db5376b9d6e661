"""What keeps running: shield, bus, buffers, the group-commit writer, jobs, scheduler, leases, lifespan."""
