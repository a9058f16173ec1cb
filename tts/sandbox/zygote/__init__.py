"""The fork server: a process of its own that may import nothing but the standard library.

It runs this folder as a private package, without `tts`, so that a snippet finds no engine code in
its memory. `wire` is the one module that the engine's side reads too.
"""
