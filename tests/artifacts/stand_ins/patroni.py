"""Stands in for the REST interface of Patroni 3: prints its port, then answers /patroni and /cluster until it is ended."""

import http.server
import json

MEMBERS = [
    {"name": "a", "role": "leader", "state": "running", "host": "10.0.0.1", "port": 5432, "timeline": 3},
    {"name": "b", "role": "replica", "state": "streaming", "host": "10.0.0.2", "port": 5432, "timeline": 3, "lag": 0},
    {"name": "c", "role": "replica", "state": "running", "host": "10.0.0.3", "port": 5432, "timeline": 2, "lag": "unknown"},
]
ANSWERS = {
    "/patroni": {"state": "running", "role": "primary", "server_version": 160004, "timeline": 3, "patroni": {"version": "3.3.2", "scope": "x", "name": "a"}},
    "/cluster": {"members": MEMBERS, "scope": "x"},
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        answer = ANSWERS.get(self.path)
        self.send_response(200 if answer else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_arguments: object) -> None:
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
