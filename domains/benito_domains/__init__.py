"""What a node is: domain XML, libvirt drivers, namespaces for processes, images and what a node does at boot.

May import `benito` and outside libraries; never `benito_netplan` or `benito_cli`.
"""
