"""JupyterLab's channel to a kernel without the wait that TCP adds to small messages."""

from __future__ import annotations

from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection


class PromptConnection(ZMQChannelsWebsocketConnection):
    """The stock connection with TCP_NODELAY.

    A picture follows its slider's "busy" message by a few milliseconds. By default (Nagle's algorithm) the second
    small packet waits until the first is acknowledged, which takes up to 40 ms: as long as drawing the picture.
    """

    def connect(self) -> Any:
        """Send every message at once from now on."""
        self.websocket_handler.set_nodelay(True)
        return super().connect()
