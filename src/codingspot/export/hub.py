"""Uploading an export to the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from codingspot.errors import OutputError
from codingspot.models.finding import first_line


def push(folder: Path, repository: str, *, private: bool = False) -> str:
    """Upload a folder as a model repository, which is made where there is none; returns its address.

    Raises:
        OutputError: it can't be uploaded: no such namespace, not logged in, or no network.
    """
    from huggingface_hub import HfApi

    hub = HfApi()
    try:
        made = hub.create_repo(repository, repo_type="model", private=private, exist_ok=True)
        hub.upload_folder(repo_id=made.repo_id, folder_path=folder, commit_message="Export of codingspot")
    except Exception as error:  # the Hub library's errors differ between its versions
        raise OutputError(
            f"{repository} was not uploaded ({first_line(error)}); what is in {folder} is whole: log in with "
            "'hf auth login' and upload it with 'hf upload'"
        ) from None
    return str(made)
