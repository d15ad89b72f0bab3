"""Packages of plugins: what is installed, and a new one to begin with."""
