"""Measures convae beside Keras and PyTorch on this machine, all in turn. scripts/bench.sh runs it.

The parent process (`__main__`) imports none of them: each contestant is a child that waits for its turn.
"""
