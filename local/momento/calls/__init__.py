"""What each call does: authentication, faults, permissions and quotas, then `store`. The wire belongs to `fronts`."""
