"""Judges whether a stage serves its users and what is wrong with it: the conditions Ready and Degraded.

Owns the health loop, the rules that turn a snapshot of a release into problems, and the writing of both conditions.
Does not scale and does not create AWS resources. What goes wrong in provisioning is reported to it.
"""
