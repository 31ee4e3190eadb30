"""An API server in process: the semantics that a controller can depend on, without sockets, threads or a clock.

`tests/contract/kube/server_*_suite.py` say what they are and run against this one and a real kube-apiserver.
"""
