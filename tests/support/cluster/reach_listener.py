"""Run in a pod: accept connections and answer datagrams on the ports in sys.argv, each as `tcp:8080`."""

import socketserver
import sys
import threading


class Accept(socketserver.BaseRequestHandler):
    """Accept and close the connection: clients need only the handshake."""

    def handle(self) -> None:
        return


class Echo(socketserver.BaseRequestHandler):
    """Answer with one datagram."""

    def handle(self) -> None:
        data, connection = self.request
        connection.sendto(data, self.client_address)


def server(protocol: str, port: int) -> socketserver.BaseServer:
    if protocol == "udp":
        return socketserver.ThreadingUDPServer(("", port), Echo)
    return socketserver.ThreadingTCPServer(("", port), Accept)


for argument in sys.argv[1:]:
    name, number = argument.split(":")
    threading.Thread(target=server(name, int(number)).serve_forever).start()
