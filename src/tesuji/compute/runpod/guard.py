"""What runs in the pod beside everything else and ends it: this text goes there in a variable.

The pod's own command starts it, so a pod ends by itself whatever becomes of the laptop that rented
it: never shipped, over and fetched, over and never fetched, over its time. What is not fetched
stays on the disk of a pod that is stopped, which costs no GPU. It needs the Python that is there.
"""

import contextlib
import json
import os
import time
import urllib.request
from pathlib import Path


def decide(job, booted, limits, now):
    """`terminate`, `stop`, or nothing yet. `job` is the job's folder, `limits` are seconds."""
    if (job / "home").exists():
        return "terminate"
    if not (job / "pid.json").exists():
        return "terminate" if now - booted > limits["ship"] else ""
    over = (job / "exit.json").exists()
    signs = [_changed(job / name) for name in ("exit.json", "heartbeat.json", "seen")]
    if now - max([booted, *signs]) > limits["fetch" if over else "silent"]:
        return "stop"
    return "stop" if now - booted > limits["most"] else ""


def _changed(path):
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0


def end_pod(action):
    """Ask RunPod with the key that it gives to each pod for itself."""
    url = "%s/v2/pods/%s/action" % (os.environ["TESUJI_API"], os.environ["RUNPOD_POD_ID"])
    headers = {
        "Authorization": "Bearer " + os.environ["RUNPOD_API_KEY"],
        "Content-Type": "application/json",
        "User-Agent": "tesuji",
    }
    body = json.dumps({"action": action}).encode()
    request = urllib.request.Request(url, body, headers, method="POST")
    urllib.request.urlopen(request, timeout=30).close()


def watch():
    """Look until the pod has to end, and then ask until it does."""
    limits = json.loads(os.environ["TESUJI_LIMITS"])
    job, booted = Path(os.environ["TESUJI_JOB"]), time.time()
    while True:
        time.sleep(limits["look"])
        action = decide(job, booted, limits, time.time())
        if action == "stop" and limits["kept"]:  # a network volume stays, its pod cannot be stopped
            action = "terminate"
        if action:
            print("tesuji: %s this pod" % action, flush=True)
            with contextlib.suppress(Exception):
                end_pod(action)


if __name__ == "__main__":
    watch()
