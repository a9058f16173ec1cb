"""Any causal language model of the Hub in this process: transformers' layers, our batching.

`opening` makes it from a spec. The `engine` steps: what of a prompt the `cache` (a pool of blocks
on the device under a radix tree) does not hold passes through the `model` once; each sample then
takes a row of the `slots`, and `attention` reads what siblings share once for all of them;
`sampling` draws a token a step. The `layout` says how a model's keys and values lie in memory.
"""
