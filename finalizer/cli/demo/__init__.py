"""`finalizer demo`: a crowd of clients whose fates we know, and a comparison of those with what the worker wrote."""

from finalizer.cli.demo.run import command

__all__ = ["command"]
