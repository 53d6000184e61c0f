"""What commands that read physics off a run share: curves, places, samples."""
