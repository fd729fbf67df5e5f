"""The server of the pages: it ends what would go on for ever, then waits for its other answers."""

import socket

import uvicorn

from tesuji.serve.ui.house import House


class Server(uvicorn.Server):
    """uvicorn's, for one house."""

    def __init__(self, config: uvicorn.Config, house: House) -> None:
        super().__init__(config)
        self.house = house

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, let answers end, close the house."""
        self.house.leaving.set()
        await super().shutdown(sockets)
