"""The page of the embedded stack: what clients need to know, the mails, and the browser application."""
