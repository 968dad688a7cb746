"""Findings, tables and repairs as people and programs read them."""
