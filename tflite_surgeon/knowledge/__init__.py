"""Facts about operators and runtimes, as data with their sources."""
