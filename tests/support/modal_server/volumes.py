"""Volumes: what is committed lies in a folder of the server, and every container has a copy.

A container sees what was committed when it started or last reloaded, and others see what it
wrote once it has committed: by itself, in the background (version 2), or at its end.
"""

import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from modal._utils.blob_utils import BLOCK_SIZE
from modal_proto import api_pb2

from .calls import Calls, streaming, unary
from .state import Task, Volume, World

Seen = dict[str, tuple[int, int]]


def files_in(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file() or path.is_symlink():  # links are kept as links
                yield path.relative_to(folder).as_posix(), path.lstat()
        except FileNotFoundError:  # removed meanwhile
            continue


def seen_in(folder: Path) -> Seen:
    return {name: (stat.st_mtime_ns, stat.st_size) for name, stat in files_in(folder)}


def _copy(source: Path, target: Path, name: str) -> None:
    (target / name).parent.mkdir(parents=True, exist_ok=True)
    part = target / (name + ".modal-part")
    try:
        part.unlink(missing_ok=True)
        shutil.copy2(source / name, part, follow_symlinks=False)
        part.replace(target / name)
    except FileNotFoundError:  # renamed by its writer meanwhile
        part.unlink(missing_ok=True)


def copy_of(task: Task, volume: Volume) -> Path:
    """The container's copy, made at the first call."""
    folder = task.folder / "volumes" / volume.id
    if not folder.exists():
        folder.mkdir(parents=True)
        reload(task, volume)
    return folder


def reload(task: Task, volume: Volume) -> None:
    """What was committed since, and not changed here, into the container's copy."""
    folder = task.folder / "volumes" / volume.id
    here, there = seen_in(folder), seen_in(volume.folder)
    base = task.seen.setdefault(volume.id, {})
    for name, stamp in there.items():
        if here.get(name) != stamp and here.get(name) == base.get(name):
            _copy(volume.folder, folder, name)
            base[name] = stamp
    for name in set(base) - set(there):
        if here.get(name) == base[name]:
            (folder / name).unlink(missing_ok=True)
            del base[name]


def commit(world: World, task: Task, volume: Volume) -> None:
    """What changed in the container's copy since it was last copied; the last writer wins."""
    folder = copy_of(task, volume)
    here, base = seen_in(folder), task.seen.get(volume.id, {})
    changed = [name for name, stamp in here.items() if base.get(name) != stamp]
    check_room(world, volume, sum(here[name][1] for name in changed))
    for name in changed:
        _copy(folder, volume.folder, name)
    for name in set(base) - set(here):
        (volume.folder / name).unlink(missing_ok=True)
    task.seen[volume.id] = here


def check_room(world: World, volume: Volume, more: int) -> None:
    limit = world.faults.volume_bytes
    if limit is not None and sum(s.st_size for _, s in files_in(volume.folder)) + more > limit:
        raise GRPCError(Status.RESOURCE_EXHAUSTED, "No space left on the volume")


def _kind(path: Path) -> Any:
    if path.is_symlink():
        return api_pb2.FileEntry.SYMLINK
    return api_pb2.FileEntry.DIRECTORY if path.is_dir() else api_pb2.FileEntry.FILE


class Volumes(Calls):
    """VolumeGetOrCreate ... VolumeReload, versions 1 and 2."""

    def volume(self, volume_id: str) -> Volume:
        if volume_id not in self.world.volumes:
            raise GRPCError(Status.NOT_FOUND, f"No Volume with ID '{volume_id}' found.")
        return self.world.volumes[volume_id]

    def _path(self, volume: Volume, path: str) -> Path:
        parts = PurePosixPath("/", path).parts[1:]
        if ".." in parts:
            raise GRPCError(Status.INVALID_ARGUMENT, f"path {path!r} leaves the volume")
        return volume.folder.joinpath(*parts)

    def _existing(self, volume: Volume, path: str) -> Path:
        found = self._path(volume, path)
        if not found.exists():
            raise GRPCError(Status.NOT_FOUND, f"No such file or directory: '{path}'")
        return found

    def _volume_metadata(self, volume: Volume) -> api_pb2.VolumeMetadata:
        created = api_pb2.CreationInfo(created_at=volume.created, created_by="tests")
        return api_pb2.VolumeMetadata(
            version=volume.version, name=volume.name, creation_info=created
        )

    @unary
    async def VolumeGetOrCreate(self, request: Any) -> Any:
        name, world = request.deployment_name, self.world
        found = next((v for v in world.volumes.values() if name and v.name == name), None)
        if found is None:
            if request.object_creation_type == api_pb2.OBJECT_CREATION_TYPE_UNSPECIFIED:
                raise GRPCError(
                    Status.NOT_FOUND, f"Volume '{name}' not found in environment 'main'"
                )
            volume_id = world.new_id("vo")
            folder = world.folder / "volumes" / volume_id
            folder.mkdir(parents=True)
            version = request.version or api_pb2.VOLUME_FS_VERSION_V1
            found = world.volumes[volume_id] = Volume(volume_id, name, version, folder)
        elif request.object_creation_type == api_pb2.OBJECT_CREATION_TYPE_CREATE_FAIL_IF_EXISTS:
            raise GRPCError(Status.ALREADY_EXISTS, f"Volume '{name}' already exists")
        return api_pb2.VolumeGetOrCreateResponse(
            volume_id=found.id, version=found.version, metadata=self._volume_metadata(found)
        )

    @unary
    async def VolumeGetById(self, request: Any) -> Any:
        found = self.volume(request.volume_id)
        return api_pb2.VolumeGetByIdResponse(
            volume_id=found.id, metadata=self._volume_metadata(found)
        )

    @unary
    async def VolumeHeartbeat(self, request: Any) -> Any:
        return Empty()

    @unary
    async def VolumeList(self, request: Any) -> Any:
        before = request.pagination.created_before
        answer = api_pb2.VolumeListResponse(environment_name="main")
        for volume in sorted(self.world.volumes.values(), key=lambda v: -v.created):
            if volume.name and (not before or volume.created < before):
                answer.items.add(
                    label=volume.name, volume_id=volume.id, created_at=volume.created,
                    metadata=self._volume_metadata(volume),
                )  # fmt: skip
        return answer

    @unary
    async def VolumeDelete(self, request: Any) -> Any:
        shutil.rmtree(self.volume(request.volume_id).folder)
        del self.world.volumes[request.volume_id]
        return Empty()

    @unary
    async def VolumeRename(self, request: Any) -> Any:
        self.volume(request.volume_id).name = request.name
        return Empty()

    @unary
    async def VolumePutFiles2(self, request: Any) -> Any:
        """Blocks that are not here are asked for, with an address to put each to."""
        volume, world = self.volume(request.volume_id), self.world
        if request.disallow_overwrite_existing_files:
            there = [f.path for f in request.files if self._path(volume, f.path).exists()]
            if there:
                raise GRPCError(Status.ALREADY_EXISTS, f"{there[0]}: already exists")
        check_room(world, volume, sum(file.size for file in request.files))
        answer = api_pb2.VolumePutFiles2Response()
        for number, file in enumerate(request.files):
            for index, block in enumerate(file.blocks):
                name = "block-" + block.contents_sha256.hex()
                if name not in world.blobs:
                    url = f"{world.http}/blob/{name}"
                    answer.missing_blocks.add(file_index=number, block_index=index, put_url=url)
        if not answer.missing_blocks:
            for file in request.files:
                self._write(volume, file)
        return answer

    def _write(self, volume: Volume, file: Any) -> None:
        blocks = [self.world.blobs["block-" + b.contents_sha256.hex()] for b in file.blocks]
        whole = b"".join(block.ljust(BLOCK_SIZE, b"\0") for block in blocks)[: file.size]
        path = self._path(volume, file.path)
        if path.is_dir():
            raise GRPCError(Status.FAILED_PRECONDITION, f"{file.path}: is a directory")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(whole)
        path.chmod(file.mode or 0o644)

    @unary
    async def VolumePutFiles(self, request: Any) -> Any:
        volume = self.volume(request.volume_id)
        for file in request.files:
            path = self._path(volume, file.filename)
            if request.disallow_overwrite_existing_files and path.exists():
                raise GRPCError(Status.ALREADY_EXISTS, f"{file.filename}: already exists")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.world.blobs[file.sha256_hex])
        return Empty()

    def _entries(self, request: Any) -> list[api_pb2.FileEntry]:
        volume = self.volume(request.volume_id)
        start = self._existing(volume, request.path)
        deep = start.rglob("*") if request.recursive else start.glob("*")
        paths = sorted(deep) if start.is_dir() else [start]
        entries = []
        for path in paths:
            stat = path.lstat()
            kind = _kind(path)
            size = stat.st_size if kind == api_pb2.FileEntry.FILE else 0
            name = path.relative_to(volume.folder).as_posix()
            entry = api_pb2.FileEntry(path=name, type=kind, mtime=int(stat.st_mtime), size=size)
            entries.append(entry)
        return entries

    @streaming
    async def VolumeListFiles2(self, request: Any) -> AsyncIterator[Any]:
        yield api_pb2.VolumeListFiles2Response(entries=self._entries(request))

    @streaming
    async def VolumeListFiles(self, request: Any) -> AsyncIterator[Any]:
        yield api_pb2.VolumeListFilesResponse(entries=self._entries(request))

    @unary
    async def VolumeGetFile2(self, request: Any) -> Any:
        """Addresses of the blocks; zeros at a block's end are left out where the client says so."""
        path = self._existing(self.volume(request.volume_id), request.path)
        if path.is_dir():
            raise GRPCError(Status.INVALID_ARGUMENT, f"{request.path}: is a directory")
        data = path.read_bytes()
        part = data[request.start : request.start + request.len if request.len else None]
        answer = api_pb2.VolumeGetFile2Response(size=len(data), start=request.start, len=len(part))
        for at in range(0, len(part), BLOCK_SIZE):
            block = part[at : at + BLOCK_SIZE]
            block = block.rstrip(b"\0") if request.client_pads_blocks else block
            name = "read-" + hashlib.sha256(block).hexdigest()
            self.world.blobs[name] = block
            answer.get_urls.append(f"{self.world.http}/blob/{name}")
        return answer

    @unary
    async def VolumeRemoveFile2(self, request: Any) -> Any:
        path = self._existing(self.volume(request.volume_id), request.path)
        if path.is_dir() and not request.recursive:
            raise GRPCError(Status.INVALID_ARGUMENT, f"{request.path}: is a directory")
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return Empty()

    VolumeRemoveFile = VolumeRemoveFile2

    @unary
    async def VolumeCommit(self, request: Any) -> Any:
        commit(self.world, self.container(), self.volume(request.volume_id))
        return api_pb2.VolumeCommitResponse(skip_reload=False)

    @unary
    async def VolumeReload(self, request: Any) -> Any:
        reload(self.container(), self.volume(request.volume_id))
        return Empty()
