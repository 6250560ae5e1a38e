"""Random cases of every layer, optimizer, loss and initializer, held against Keras.

    cd scripts && ../.venv/bin/python -m parity.cases --count 200

`__main__` draws the cases, has `examples/parity_probe.rs` answer all of them in one process, and
asks Keras the same questions. Each module beside it knows one kind of case. Nothing here trains.
"""
