"""Mounts, blobs and images."""

import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

from grpclib import GRPCError, Status
from modal._utils.blob_utils import MULTIPART_UPLOAD_THRESHOLD
from modal.mount import client_mount_name
from modal_proto import api_pb2

from .apps import IMAGE_BUILDER
from .calls import Calls, streaming, unary

SUCCESS = api_pb2.GenericResult(status=api_pb2.GenericResult.GENERIC_STATUS_SUCCESS)


class Objects(Calls):
    """MountGetOrCreate ... ImageJoinStreaming."""

    @unary
    async def MountBatchedCheckExistence(self, request: Any) -> Any:
        known = self.world.blobs
        missing = [name for name in request.sha256_hex_hashes if name not in known]
        return api_pb2.MountBatchedCheckExistenceResponse(missing_sha256_hex_hashes=missing)

    @unary
    async def MountPutFile(self, request: Any) -> Any:
        """Asked without data it tells whether the file is there."""
        if request.WhichOneof("data_oneof") is None:
            return api_pb2.MountPutFileResponse(exists=request.sha256_hex in self.world.blobs)
        data = self.world.blobs[request.data_blob_id] if request.data_blob_id else request.data
        if hashlib.sha256(data).hexdigest() != request.sha256_hex:
            raise GRPCError(Status.INVALID_ARGUMENT, "sha256 does not match the content")
        self.world.blobs[request.sha256_hex] = data
        return api_pb2.MountPutFileResponse(exists=True)

    @unary
    async def MountGetOrCreate(self, request: Any) -> Any:
        if request.namespace == api_pb2.DEPLOYMENT_NAMESPACE_GLOBAL:
            if request.deployment_name != client_mount_name():
                raise GRPCError(Status.NOT_FOUND, f"Mount '{request.deployment_name}' not found")
            return api_pb2.MountGetOrCreateResponse(mount_id="mo-client")
        lost = [file.filename for file in request.files if file.sha256_hex not in self.world.blobs]
        if lost:
            raise GRPCError(Status.FAILED_PRECONDITION, f"not uploaded: {lost[:3]}")
        mount = self.world.new_id("mo")
        self.world.mounts[mount] = list(request.files)
        names = "".join(sorted(file.filename + file.sha256_hex for file in request.files))
        checksum = hashlib.sha256(names.encode()).hexdigest()
        metadata = api_pb2.MountHandleMetadata(content_checksum_sha256_hex=checksum)
        return api_pb2.MountGetOrCreateResponse(mount_id=mount, handle_metadata=metadata)

    @unary
    async def BlobCreate(self, request: Any) -> Any:
        """One upload; no upload in parts, which the SDK takes for more than its threshold."""
        if request.content_length > MULTIPART_UPLOAD_THRESHOLD:
            raise GRPCError(Status.UNIMPLEMENTED, "the stand-in takes no uploads in parts")
        digest = base64.b64decode(request.content_sha256_base64).hex()
        blob = f"bl-{digest}"
        answer = api_pb2.BlobCreateResponse(blob_ids=[blob])
        answer.upload_urls.items.append(f"{self.world.http}/blob/{blob}")
        return answer

    @unary
    async def BlobGet(self, request: Any) -> Any:
        if request.blob_id not in self.world.blobs:
            raise GRPCError(Status.NOT_FOUND, f"Blob '{request.blob_id}' not found")
        return api_pb2.BlobGetResponse(download_url=f"{self.world.http}/blob/{request.blob_id}")

    def _image_metadata(self) -> api_pb2.ImageMetadata:
        return api_pb2.ImageMetadata(
            python_version_info="Python 3.11.9",
            image_builder_version=IMAGE_BUILDER,
            workdir="/root",
        )

    @unary
    async def ImageGetOrCreate(self, request: Any) -> Any:
        """An image is named by its content: the second time it is built already."""
        image = request.image
        unknown = [base.image_id for base in image.base_images if base.image_id not in self._done()]
        if unknown:
            raise GRPCError(Status.FAILED_PRECONDITION, f"base image not built: {unknown}")
        if image.context_mount_id and image.context_mount_id not in self.world.mounts:
            raise GRPCError(Status.NOT_FOUND, f"Mount '{image.context_mount_id}' not found")
        content = self._content(image)
        image_id = "im-" + hashlib.sha256(content).hexdigest()[:22]
        self.world.images.setdefault(image_id, image)
        answer = api_pb2.ImageGetOrCreateResponse(image_id=image_id)
        if image_id in self.world.built and not request.force_build:
            answer.result.CopyFrom(SUCCESS)
            answer.metadata.CopyFrom(self._image_metadata())
        return answer

    def _done(self) -> set[str]:
        return self.world.built

    def _content(self, image: api_pb2.Image) -> bytes:
        """What it is made of; a mount counts by its files, not by its name of the day."""
        copy = api_pb2.Image()
        copy.CopyFrom(image)
        files = self.world.mounts.get(image.context_mount_id, [])
        copy.context_mount_id = ",".join(sorted(f.filename + f.sha256_hex for f in files))
        return copy.SerializeToString(deterministic=True)

    @streaming
    async def ImageJoinStreaming(self, request: Any) -> AsyncIterator[Any]:
        image = self.world.images[request.image_id]
        for number, command in enumerate(image.dockerfile_commands):
            line = api_pb2.TaskLogs(
                data=f"=> Step {number}: {command}\n",
                file_descriptor=api_pb2.FILE_DESCRIPTOR_STDOUT,
            )
            yield api_pb2.ImageJoinStreamingResponse(task_logs=[line], entry_id=f"{number + 1}-0")
        broken = self.world.faults.broken_image
        if broken and any(broken in command for command in image.dockerfile_commands):
            line = api_pb2.TaskLogs(
                data="ERROR: No matching distribution found\n",
                file_descriptor=api_pb2.FILE_DESCRIPTOR_STDERR,
            )
            failed = api_pb2.GenericResult(
                status=api_pb2.GenericResult.GENERIC_STATUS_FAILURE, exception=""
            )
            yield api_pb2.ImageJoinStreamingResponse(task_logs=[line], result=failed, eof=True)
            return
        self.world.built.add(request.image_id)
        yield api_pb2.ImageJoinStreamingResponse(
            result=SUCCESS, metadata=self._image_metadata(), eof=True
        )
