"""An app for Modal, as its users write them: what the stand-in is tried with."""

import os
import time
from pathlib import Path

import modal

app = modal.App("tesuji-tried")
image = modal.Image.debian_slim(python_version="3.11").env({"OF_IMAGE": "an image's"})
volume = modal.Volume.from_name("tesuji-tried", create_if_missing=True, version=2)
PLACE = Path("/outputs")


@app.function(
    image=image,
    volumes={str(PLACE): volume},
    secrets=[modal.Secret.from_dict({"OF_SECRET": "a secret's"})],
    gpu="A100-40GB:2",
    timeout=60,
)
def write(name: str, text: str) -> tuple[str, str, list[str]]:
    """Writes a file into the volume; what is in it, and what the environment says."""
    print(f"writing {name}")
    (PLACE / name).write_text(text)
    volume.commit()
    files = sorted(path.name for path in PLACE.iterdir())
    return os.environ["OF_IMAGE"], os.environ["OF_SECRET"], files


@app.function(image=image)
def square(number: int) -> int:
    """For `map`."""
    return number * number


@app.function(
    image=image, volumes={str(PLACE): volume}, retries=modal.Retries(max_retries=2, initial_delay=0)
)
def dies(times: int) -> int:
    """Its process is gone so many times; then the number of tries."""
    volume.reload()
    tries = len(list(PLACE.glob("try-*")))
    (PLACE / f"try-{tries}").write_text("")
    volume.commit()
    if tries < times:
        os._exit(137)
    return tries


@app.function(image=image, timeout=2)
def too_long() -> None:
    """Runs into its timeout."""
    time.sleep(60)


@app.function(image=image, volumes={str(PLACE): volume})
def waits() -> str:
    """Ends when the file `go` is in the volume; interrupted it leaves a note."""
    try:
        (PLACE / "begun").write_text("")
        volume.commit()  # seen from outside before it is over here
        while not (PLACE / "go").exists():
            time.sleep(0.1)
            volume.reload()
    except KeyboardInterrupt:
        (PLACE / "interrupted").write_text("")
        volume.commit()
        raise
    return "went"


@app.local_entrypoint()
def main(text: str) -> None:
    """For `modal run`."""
    print("answer", write.remote("of-main", text)[2])
