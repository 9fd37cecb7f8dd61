"""How many tasks and lanes a service needs: what was measured, the queueing model, its advice, and the words for it."""
