"""The gateway: the one door for devices. It knows and limits them, and hands on what they report."""
