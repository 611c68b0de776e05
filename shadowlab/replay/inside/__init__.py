"""What runs inside the sandbox: the fork server and its children.

Standard library only (and time-machine), imported under a private name by relative imports, so that it runs in a
service's own environment, beside a service whose modules may be called `clock` or `tape` too. Nothing here is trusted
by the supervisor: it reports what the service did, and the supervisor reads that report as hostile input.
"""
