"""Speed and size of the embedded stack on this machine. Figures are printed, never asserted."""
