"""Settings that lie on this machine: the global configuration, and that of a repository."""
