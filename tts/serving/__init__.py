"""Serving: what two models on one device come to, and the servers that bring them up.

`shapes` says what a model holds, `devices` what a device has, `traffic` what a search asks of each
model. `plan` divides the device's memory between the servers, and `roofline` bounds what they can
do. `commands` writes the plan as command lines of SGLang and vLLM; `process` runs one of them, and
`watch` keeps them all running.
"""
