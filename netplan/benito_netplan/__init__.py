"""What the wires are: desired links, observation, the difference, rtnetlink and shaping.

May import `benito` and pyroute2; never `benito_domains` or `benito_cli`.
"""
