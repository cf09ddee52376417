"""Where bodies are kept beside the store: a shared directory, or S3-compatible storage."""

from letterbox.adapters.objects.directory import DirectoryObjects
from letterbox.adapters.objects.s3 import S3Objects

__all__ = ["DirectoryObjects", "S3Objects"]
