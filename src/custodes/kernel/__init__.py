"""Pure building blocks: no I/O, no clock (time is an argument), no third party beyond crypto."""
