"""Records of the kind that reefs really send, made anew, and what a mesh in this process says of them."""
