"""`finalizer demo`: a crowd of clients whose fates we know, and a comparison of those with what the worker wrote.

It starts a broker, a worker and apps as child processes, and kills some of those. Nothing here knows the law: what the
right finals are follows from what the clients truly did. Imports nothing by itself, for its apps are apps.
"""
