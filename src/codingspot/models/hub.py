"""Files on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from codingspot.errors import ArtefactError, OutputError
from codingspot.models.finding import first_line


def push(folder: Path, repository: str, *, private: bool = False, way_out: str = "") -> str:
    """Upload a folder as a model repository, which is made where there is none; returns its address.

    ``way_out`` says what is left of what wasn't uploaded, and how to go on.

    Raises:
        OutputError: it can't be uploaded: no such namespace, not logged in, or no network.
    """
    from huggingface_hub import HfApi

    hub = HfApi()
    try:
        made = hub.create_repo(repository, repo_type="model", private=private, exist_ok=True)
        hub.upload_folder(repo_id=made.repo_id, folder_path=folder, commit_message="Export of codingspot")
    except Exception as error:  # the Hub library's errors differ between its versions
        default = f"what is in {folder} is whole: log in with 'hf auth login' and upload it with 'hf upload'"
        raise OutputError(f"{repository} was not uploaded ({first_line(error)}); {way_out or default}") from None
    return str(made)


def fetch(repository: str, file: str, revision: str | None = None) -> Path:
    """A file of a model repository, in the Hub's cache.

    Raises:
        ArtefactError: it can't be downloaded: there is none of that name, or no network.
    """
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repository, file, revision=revision))
    except Exception as error:  # the Hub library's errors differ between its versions
        raise ArtefactError(
            f"{file} of {repository} can't be downloaded ({first_line(error)}); correct the names, or download it "
            "where there is a network"
        ) from None
