"""Who is told of what, over which channel, and when: a file that operators write."""
