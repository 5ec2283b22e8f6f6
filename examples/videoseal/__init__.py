"""VideoSeal, PixelSeal and ChunkySeal: a message put into an image where no one sees it, and read from it again."""
