"""A session: a folder of videos with all that was made of it, from one command or one call."""
