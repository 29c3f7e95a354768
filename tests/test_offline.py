"""The guard itself: every way out of the machine is refused, loopback stays open (promise R22)."""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.offline import sitecustomize as offline


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "example.org"])
def test_r22_a_connection_to_another_machine_is_refused(address):
    with pytest.raises(offline.NetworkBlocked, match="refused"):
        socket.create_connection((address, 80), timeout=1)
    offline.attempts.clear()


def test_r22_asyncio_cannot_leave_either():
    with pytest.raises(offline.NetworkBlocked):
        asyncio.run(asyncio.open_connection("192.0.2.1", 80))
    offline.attempts.clear()


def test_r22_datagrams_and_name_look_ups_are_refused():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, pytest.raises(offline.NetworkBlocked):
        sender.sendto(b"x", ("192.0.2.1", 53))
    with pytest.raises(offline.NetworkBlocked):
        socket.gethostbyname("example.org")
    assert len(offline.attempts) == 2  # swallowed refusals are remembered
    offline.attempts.clear()


def test_r22_a_child_process_is_guarded_too():
    program = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert child.returncode != 0
    assert "NetworkBlocked" in child.stderr


def test_the_guard_of_a_child_started_with_it_remembers_in_one_place():
    """As the workers of parallel tests do, which find it at their start and import it once more."""
    program = (
        "import sitecustomize, tests.offline.sitecustomize as again\n"
        "assert again.attempts is sitecustomize.attempts\n"
        "assert again.NetworkBlocked is sitecustomize.NetworkBlocked\n"
    )
    root = Path(__file__).resolve().parents[1]
    child = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=60)
    assert child.returncode == 0, child.stderr


def test_loopback_and_unix_sockets_stay_open(tmp_path):
    async def echo(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    async def round_trip():
        async with (
            await asyncio.start_server(echo, "localhost", 0) as server,
            await asyncio.start_unix_server(echo, tmp_path / "s") as unix,
        ):
            port = server.sockets[0].getsockname()[1]
            for opening in (
                asyncio.open_connection("localhost", port),
                asyncio.open_unix_connection(tmp_path / "s"),
            ):
                reader, writer = await opening
                writer.write(b"hello\n")
                assert await reader.readline() == b"hello\n"
                writer.close()
                await writer.wait_closed()
            assert unix.is_serving()

    asyncio.run(round_trip())
