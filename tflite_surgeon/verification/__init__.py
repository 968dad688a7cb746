"""What two models compute for the same inputs, in the real interpreters and in real numbers."""
