"""Engines behind HTTP: SGLang, vLLM, and any number of copies of them.

A request's life: `backend` checks it and waits in `admission`, deepest work first, until the
engine has room. `siblings` lets the first request of an unknown prompt go ahead of those that share
it. The `wire` (one module for each engine) writes the request and reads the reply, over the `line`,
which repeats what is safe to repeat; `reading` makes samples of it, and `bill` its cost. `facts`
says what model is served; `routing` stands before several copies; `opening` makes it all from a
spec.
"""
