"""The addresses that blocks and blobs are put to and got from."""

import asyncio
import hashlib
from base64 import b64encode

from aiohttp import web

from .state import World

BODY_SECONDS = 2.0


def application(world: World) -> web.Application:
    async def put(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if world.faults.drop_uploads > 0:
            world.faults.drop_uploads -= 1
            await request.content.read(1)
            return _cut(request)
        try:
            data = await asyncio.wait_for(request.read(), BODY_SECONDS)
        except TimeoutError:  # a client's second try on a cut connection may come without a body
            return web.Response(status=408, text="the body did not arrive")
        digest = hashlib.sha256(data).hexdigest()
        if not name.endswith(digest):
            return web.Response(status=400, text="the content is not what its name says")
        world.blobs[name] = data
        return web.Response(
            body=b"put-" + digest[:16].encode(),
            headers={"ETag": f'"{hashlib.md5(data).hexdigest()}"'},
        )

    async def get(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if world.faults.drop_downloads > 0:
            world.faults.drop_downloads -= 1
            return _cut(request)
        if name not in world.blobs:
            return web.Response(status=404, text=f"no {name}")
        data = world.blobs[name]
        digest = b64encode(hashlib.sha256(data).digest()).decode()
        return web.Response(body=data, headers={"Repr-Digest": f"sha-256=:{digest}:"})

    found = web.Application(client_max_size=2**30)
    found.router.add_put("/blob/{name}", put)
    found.router.add_get("/blob/{name}", get)
    return found


def _cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
