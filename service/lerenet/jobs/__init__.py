"""A folder of frames through a service: resumable, each finished file recorded at once. Needs the base install only."""

from lerenet.jobs.asked import Asked
from lerenet.jobs.folder_job import FolderJob
from lerenet.jobs.frames import FileOutcome
from lerenet.jobs.sources import find_images

__all__ = ["Asked", "FileOutcome", "FolderJob", "find_images"]
