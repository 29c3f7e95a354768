"""JupyterLab's channel to a kernel: every message leaves at once, and the rest is the stock connection."""

from pathlib import Path

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler

from workbench.commands.lab import lab_arguments
from workbench.commands.prompt import PromptConnection


class Handler(KernelWebsocketHandler):
    """The page's end of the channel, as far as `connect` needs it."""

    def __init__(self) -> None:
        self.told: list[bool] = []

    def set_nodelay(self, value: bool) -> None:
        self.told.append(value)


def test_connecting_switches_the_wait_off_and_then_does_what_it_always_did(monkeypatch):
    monkeypatch.setattr(ZMQChannelsWebsocketConnection, "connect", lambda self: "connected")
    connection = PromptConnection.__new__(PromptConnection)
    handler = Handler()
    connection.set_trait("websocket_handler", handler)
    assert connection.connect() == "connected"
    assert handler.told == [True]


def test_jupyterlab_is_told_to_use_it():
    line = lab_arguments(Path("/home/me/notebooks/a.ipynb"), Path("/defaults"))
    name = f"{PromptConnection.__module__}.{PromptConnection.__name__}"
    assert f"--ServerApp.kernel_websocket_connection_class={name}" in line
