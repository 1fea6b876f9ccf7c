"""The names of the two arms of a study."""

OFF = "off"  # the baseline, without a contrastive loss
ON = "on"
