"""`benito serve` answers the original's clients."""

import ast
import re
import socket
import subprocess

from commandline import BENITO, ROOT, Project


def test_status_request_is_answered_over_tcp(project: Project) -> None:
    project.up(ROOT / "examples" / "pair.xml", "pair")
    with subprocess.Popen([BENITO, "serve", "--port", "0"], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = re.search(r"port (\d+)", server.stdout.readline())
            assert port is not None
            with socket.create_connection(("127.0.0.1", int(port[1])), timeout=30) as client:
                client.sendall(f"status_request {project.name}/pair\n".encode())
                kind, body = client.makefile().readline().split(" ", 1)
        finally:
            server.terminate()
    assert kind == "status_reply"
    found = ast.literal_eval(body)
    assert found["hv:process:pnode-0000"]["bob"] == ["booted", None]
    assert found["hv:lxc:pnode-0000"]["alice"][0] == "booted"
