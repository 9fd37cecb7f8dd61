"""The machine that tries to break the laws of DESIGN section 3: a workload, random faults, a history, and a checker."""
