"""The sub-commands of ``reefmesh``: one module each; arguments in, exit code out."""
