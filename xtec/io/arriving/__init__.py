"""Series whose temperatures come one by one."""
