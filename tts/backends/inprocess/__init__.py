"""vLLM and SGLang inside of this process, in an interpreter that has them.

They run beside us, on an event loop of their own (`thread`), and some of their work in processes
that they start. What is asked and answered is what goes over the wire to their servers, so that
`remote` does the rest: admission, siblings, costs, and samples made of replies.
"""
