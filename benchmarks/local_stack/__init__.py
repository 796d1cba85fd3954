"""Speed and size of the local stack on this machine. Figures are printed, never asserted."""
