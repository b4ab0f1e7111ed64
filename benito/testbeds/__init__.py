"""Where pnodes come from. Each testbed says which experiments it can take, and gives a node manager per pnode."""
