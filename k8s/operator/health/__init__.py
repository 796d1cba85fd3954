"""Whether a stage serves its users and what is wrong with it: the conditions Ready and Degraded.

Owns reading a release's objects and its pods' /readyz, judging them, and writing both conditions. Does not scale and
does not create resources; what provisioning finds wrong is handed to it.
"""
