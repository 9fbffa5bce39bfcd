"""The command line: ``syncws``, or ``python -m syncws``."""
