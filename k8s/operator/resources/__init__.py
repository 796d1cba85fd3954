"""Make, adopt and remove what a stage is made of: plain async functions, for the operator and the laptop alike."""
