"""In-process engines, only where a user would choose one."""
