"""`make forward`: the services of a stage in a cluster on ports of this machine, also during rollouts.

`kubectl port-forward` is bound to one pod and ends with it (kubernetes/kubectl#686). So this program listens itself,
forwards to a ready pod, and changes to another one as soon as that pod terminates, before it stops answering.
"""
