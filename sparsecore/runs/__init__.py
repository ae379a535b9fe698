"""Runs as append-only logs: the store, its blobs, the worker that writes a run, the supervisor of workers."""
