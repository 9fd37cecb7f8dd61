"""The store port and its databases: state, inbox and outbox of one service in one transaction."""
