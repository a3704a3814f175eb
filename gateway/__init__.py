"""floatgate: one stable address for interactive sessions that move between machines."""

__version__ = "0.1.0"
