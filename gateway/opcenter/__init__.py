"""The control plane: knows jobs and gateways, never a browser's socket."""

from .server import OpCenter, Opened

__all__ = ["OpCenter", "Opened"]
