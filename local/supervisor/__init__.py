"""Starts, watches and stops the processes of the embedded stack; standard library only, to stay small."""
