"""UVQ 1.5, which scores the quality of a video without a reference: three networks, whole and in parts."""
