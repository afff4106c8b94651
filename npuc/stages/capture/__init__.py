"""From a model source to a prepared program, whatever the device."""
