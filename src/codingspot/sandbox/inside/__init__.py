"""What runs inside the sandbox: a fork server that gives every program a process and a verdict.

This package imports nothing but the standard library and is started by a bare interpreter (no site-packages), so
that a fork is cheap and a program finds nothing there but Python itself.
"""
