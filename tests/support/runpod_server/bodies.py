"""What `POST /v2/pods` and the other calls may hold; anything else is refused with 422."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Gpu(Strict):
    id: str
    count: int = Field(default=1, ge=1)
    allowedCudaVersions: list[str] = []  # noqa: N815 - RunPod's name
    minCudaVersion: str | None = Field(default=None, pattern=r"^\d+\.\d+$")  # noqa: N815
    minRamPerGpu: int | None = Field(default=None, ge=1)  # noqa: N815
    minVcpuCountPerGpu: int | None = Field(default=None, ge=1)  # noqa: N815


class Cpu(Strict):
    id: str = Field(min_length=1)
    vcpuCount: int = Field(ge=2)  # noqa: N815


class Persistent(Strict):
    size: int = Field(ge=10)
    path: str


class Network(Strict):
    volumeId: str  # noqa: N815
    path: str


class Mounts(Strict):
    persistent: Persistent | None = None
    network: list[Network] | None = Field(default=None, max_length=1)


class NewPod(Strict):
    name: str = Field(min_length=1)
    image: str
    args: str = ""
    disk: int = Field(default=20, ge=1)
    env: dict[str, str] = {}
    ports: list[str] = []
    registry: str | None = None
    cloud: Literal["SECURE", "COMMUNITY"] = "SECURE"
    gpu: Gpu | None = None
    cpu: Cpu | None = None
    dataCenterIds: list[str] = []  # noqa: N815
    globalNetworking: bool = False  # noqa: N815
    mounts: Mounts = Mounts()
    startJupyter: bool = False  # noqa: N815
    startSsh: bool = False  # noqa: N815

    @model_validator(mode="after")
    def image_is_named(self) -> "NewPod":
        assert self.image
        return self


class Action(Strict):
    action: Literal["start", "stop", "restart", "terminate"]


class SshKeys(Strict):
    keys: list[str]


class NewVolume(Strict):
    name: str = Field(min_length=1)
    size: int = Field(ge=10, le=4096)
    dataCenter: str = Field(min_length=1)  # noqa: N815
    type: Literal["STANDARD", "HIGH_PERFORMANCE"] = "STANDARD"


def rule_broken(body: NewPod) -> str:
    """What the handler refuses with 400 though the schema allows it; "" if nothing."""
    if (body.gpu is None) == (body.cpu is None):
        return "exactly one of gpu or cpu must be set"
    if body.mounts.persistent and body.mounts.network:
        return "mounts.persistent and mounts.network are mutually exclusive"
    if body.cpu and body.mounts.persistent:
        return "mounts.persistent is invalid for CPU pods"
    return ""
