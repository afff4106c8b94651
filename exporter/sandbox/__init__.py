"""Runs a function on data from strangers in a child process: limited in memory, time and files, without network.

`process` is the parent's side, `worker` the child's; plain data (JSON and bytes) goes between them, never a pickle.
"""
