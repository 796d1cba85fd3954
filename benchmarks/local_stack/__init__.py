"""Speed and size of the whole stack on this machine, beside the goals; printed, never asserted."""
