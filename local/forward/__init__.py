"""`make forward`: a stage's services on this machine's ports, through rollouts.

`kubectl port-forward` is pinned to one pod and dies with it (kubernetes/kubectl#686). So the ports here are our own
listeners; behind each is a port-forward to a pod that is ready, and another one as soon as that pod is told to stop,
which is before it stops answering.
"""
