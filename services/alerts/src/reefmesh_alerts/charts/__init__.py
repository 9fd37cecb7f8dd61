"""Pictures in mails; they need the extra ``reefmesh-alerts[charts]``."""
