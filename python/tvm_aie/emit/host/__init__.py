"""Files that are copied next to a design: the host program and the kernels' makefile."""
