"""Bytes that are not what they seem, one readable table for each kind of peer."""
