"""What lasts from set to set: synchronisation, tracks and identities, bone lengths, pose history, lost views."""
