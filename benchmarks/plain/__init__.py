"""The plain way of doing the same, on the same SDK and loop: what our services are compared with."""
