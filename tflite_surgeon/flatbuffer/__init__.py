"""The only code that knows offsets: bytes to tables, tables to bytes, and where a field lives in a file."""
