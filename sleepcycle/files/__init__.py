"""Files: what is written to last, where it lies, and the processes beside this one."""
