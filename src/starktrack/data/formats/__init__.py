"""File formats of boxes, regions and masks: text of numbers, VOT regions, result files and folders."""
