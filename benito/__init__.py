"""What an experiment is, where its nodes go and how it is driven.

The pure core: topology files, embedding, plans, status, the controller with its store, and the node manager.
It imports no libvirt, pyroute2, typer or rich; what it needs of those worlds stands in `benito.seams`.
"""
