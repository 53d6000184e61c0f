"""Files and folders of any kind: whole or not at all, one owner at a time, scratch space."""
