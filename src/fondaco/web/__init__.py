"""The HTTP face: repositories for clients, status for people and programs, a hook for object stores."""
