"""Past one machine: the application on Ray Serve, the folder job on Ray Data. Needs the extra `ray`."""
