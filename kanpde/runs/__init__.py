"""One run as a process in its folder, and many of them."""
