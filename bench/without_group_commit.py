"""The service with a commit, and so a sync, for each writer: what group commit is compared with."""

from storage.sqlite import group_commit

group_commit.MAX_WRITERS = 1

from app import app as app
