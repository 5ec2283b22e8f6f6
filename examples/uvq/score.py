"""The whole score: a video through all three networks."""

from torch import nn

from .distortion import DistortionOfVideo


class Score(nn.Module):
    """video: [seconds, frames, 3, 1080, 1920] in −1…1 → the score of each second [seconds, 1] in 1…5.

    The first frame stands for its second. The score of a video is the mean over its seconds.
    """

    def __init__(self, content, distortion, aggregation):
        super().__init__()
        self.content = content
        self.distortion = DistortionOfVideo(distortion)
        self.aggregation = aggregation

    def forward(self, video):
        return self.aggregation(self.content(video[:, 0]), self.distortion(video))
