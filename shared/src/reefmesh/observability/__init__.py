"""How a service tells what it does: logs, metrics, progress, health, and the page that serves them."""
