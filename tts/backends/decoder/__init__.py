"""What engines that decode in a thread of this process have in common, whatever they compute with.

A request's life: `backend` checks it and hands it to the `worker` thread, which steps the engine.
Of that, shared here: the `radix` tree of cached prefixes, the `chance` that decides a token, and
the `stops` that end a sample.
"""
