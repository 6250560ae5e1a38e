"""Proof that convae computes what Keras computes: `python -m parity --help`, run by parity.sh.

The driver (everything but model.py, gradient.py, replay.py and scratch.py) never imports Keras: a
process has one Keras backend, so each backend gets a process of its own.
"""
