"""Recipients: which people get which alerts, over which targets, and when. Operators write this in the subscriptions file."""
