"""The gateway: the one door for devices. It knows them by their tokens, limits them, and hands what they report to the mesh."""
