"""An API server in process: the semantics that a controller can depend on, without sockets, threads or a clock.

`tests/contract/kube/apiserver_suite.py` says what they are and runs against this one and a real kube-apiserver.
"""
