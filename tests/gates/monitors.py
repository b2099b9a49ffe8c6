"""Real monitors on the loopback, each started with what it needs in a folder of its own and stopped by its process."""

import base64
import http.server
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

CGI = "/usr/lib/cgi-bin/nagios4/statusjson.cgi"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what: str, true, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not within {seconds} s")
        time.sleep(0.2)


def basic(reader: str) -> str:
    """The header of an account `user:password`."""
    return "Basic " + base64.b64encode(reader.encode()).decode()


def answers(url: str, reader: str | None = None) -> bool:
    request = urllib.request.Request(url, headers={"Authorization": basic(reader)} if reader else {})
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


class Program:
    """A program that runs until it is stopped."""

    def __init__(self, folder: Path, command: list[str]):
        self.log = open(folder / (Path(command[0]).name + ".log"), "ab")
        self.process = subprocess.Popen(command, cwd=folder, stdout=self.log, stderr=self.log)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Prometheus:
    """Prometheus that scrapes a node exporter, whose values are a file. With a reader (`user:password`, and the bcrypt hash
    of the password) it answers nobody else."""

    def __init__(self, folder: Path, reader: tuple[str, str] | None = None):
        self.folder = folder
        self.reader, self.options = None, []
        (folder / "values").mkdir(parents=True)
        self.exporter_port, self.port = free_port(), free_port()
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s}\nscrape_configs:\n"
            "  - {job_name: node, static_configs: [{targets: ['127.0.0.1:%d']}]}\n" % self.exporter_port
        )
        if reader:
            self.reader, hashed = reader
            user = self.reader.partition(":")[0]
            (folder / "web.yml").write_text(f"basic_auth_users: {{{user}: '{hashed}'}}\n")
            self.options = [f"--web.config.file={folder}/web.yml"]
        self.exporter = Program(folder, [
            "prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{self.exporter_port}",
            "--collector.disable-defaults", "--collector.textfile", f"--collector.textfile.directory={folder}/values",
        ])
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.program = Program(self.folder, [
            "prometheus", f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}", *self.options,
        ])
        wait_for("Prometheus", lambda: answers(f"{self.url}/-/ready", self.reader))

    def stop(self) -> None:
        self.program.stop()

    def close(self) -> None:
        self.stop()
        self.exporter.stop()

    def show(self, values: dict[str, int]) -> None:
        """The health of each machine, as an exporter of it would show it."""
        lines = "".join(f'app_up{{host="{host}:9100"}} {value}\n' for host, value in values.items())
        new = self.folder / "values" / "new"
        new.write_text(lines)
        new.rename(self.folder / "values" / "app.prom")


class Nagios:
    """Nagios Core whose checks read a file each, and its CGI behind a small web server. With a reader (`user:password`) it
    answers nobody else."""

    def __init__(self, folder: Path, hosts: list[str], reader: str | None = None):
        self.folder, self.reader = folder, reader
        for part in ["var", "spool", "rw", "check"]:
            (folder / part).mkdir(parents=True)
        check = folder / "chk"
        check.write_text(f"#!/bin/sh\ncat {folder}/check/$1; exit $(cut -d' ' -f1 {folder}/check/$1)\n")
        check.chmod(0o755)
        days = "".join(f" {day} 00:00-24:00\n" for day in
                       ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"])
        objects = [
            f"define command {{\n command_name st\n command_line {folder}/chk $HOSTNAME$\n}}\n",
            "define command {\n command_name noop\n command_line /bin/true\n}\n",
            f"define timeperiod {{\n timeperiod_name all\n alias all\n{days}}}\n",
            "define contact {\n contact_name a\n host_notifications_enabled 0\n service_notifications_enabled 0\n"
            " host_notification_period all\n service_notification_period all\n"
            " host_notification_commands noop\n service_notification_commands noop\n}\n",
        ]
        for host in hosts:
            self.show(host, 0)
            objects.append(
                f"define host {{\n host_name {host}\n address 127.0.0.1\n check_command noop\n max_check_attempts 1\n"
                " check_interval 1\n check_period all\n contacts a\n notification_period all\n}\n"
                f"define service {{\n host_name {host}\n service_description app\n check_command st\n"
                " max_check_attempts 1\n check_interval 1\n retry_interval 1\n check_period all\n contacts a\n"
                " notification_period all\n}\n"
            )
        (folder / "objects.cfg").write_text("".join(objects))
        (folder / "nagios.cfg").write_text(
            f"log_file={folder}/var/nagios.log\ncfg_file={folder}/objects.cfg\n"
            f"object_cache_file={folder}/var/objects.cache\nprecached_object_file={folder}/var/objects.precache\n"
            f"status_file={folder}/var/status.dat\nstatus_update_interval=1\nnagios_user=nagios\nnagios_group=nagios\n"
            f"command_file={folder}/rw/nagios.cmd\nquery_socket={folder}/rw/nagios.qh\nlock_file={folder}/var/nagios.pid\n"
            f"temp_file={folder}/var/nagios.tmp\ntemp_path=/tmp\ncheck_result_path={folder}/spool\n"
            f"state_retention_file={folder}/var/retention.dat\ninterval_length=1\ncheck_external_commands=1\n"
        )
        (folder / "cgi.cfg").write_text(f"main_config_file={folder}/nagios.cfg\nuse_authentication=0\n")
        subprocess.run(["chown", "-R", "nagios", str(folder)], check=True)
        self.program = Program(folder, ["nagios4", f"{folder}/nagios.cfg"])
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        wait_for("Nagios", lambda: b'"status": 2' in self.ask("query=servicelist&details=true"))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/cgi-bin/nagios4"

    def ask(self, query: str) -> bytes:
        environment = {"NAGIOS_CGI_CONFIG": f"{self.folder}/cgi.cfg", "REQUEST_METHOD": "GET", "QUERY_STRING": query}
        said = subprocess.run([CGI], env=environment, capture_output=True, check=False).stdout
        return said.partition(b"\n\n")[2] or said.partition(b"\r\n\r\n")[2]

    def handler(nagios):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path, _, query = self.path.partition("?")
                if nagios.reader and self.headers.get("Authorization") != basic(nagios.reader):
                    return self.answer(401, b"Who are you?")
                body = nagios.ask(query) if path == "/cgi-bin/nagios4/statusjson.cgi" else b""
                return self.answer(200 if body else 404, body)

            def answer(self, status, body):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler

    def show(self, host: str, code: int) -> None:
        (self.folder / "check" / host).write_text(f"{code} as the test says\n")

    def close(self) -> None:
        self.server.shutdown()
        self.program.stop()


class Icinga:
    """Icinga 2 with its own certificate authority, and one account (`user:password`) that may read."""

    def __init__(self, folder: Path, hosts: list[str], reader: str):
        user, _, password = reader.partition(":")
        self.folder, self.port = folder, free_port()
        for part in ["etc", "lib/certs", "lib/ca", "run", "log", "cache", "spool", "check"]:
            (folder / part).mkdir(parents=True)
        check = folder / "chk"
        check.write_text(f"#!/bin/sh\nexit $(cat {folder}/check/$1)\n")
        check.chmod(0o755)
        for host in hosts:
            self.show(host, 0)
        names = ", ".join(f'"{host}"' for host in hosts)
        (folder / "etc/icinga2.conf").write_text(f"""
include <itl>
const NodeName = "localhost"
const ZoneName = "localhost"
object Endpoint NodeName {{ }}
object Zone ZoneName {{ endpoints = [ NodeName ] }}
object ApiListener "api" {{ bind_host = "127.0.0.1"; bind_port = {self.port} }}
object ApiUser "{user}" {{ password = "{password}"; permissions = [ "objects/query/Service", "objects/query/Host" ] }}
object CheckerComponent "checker" {{ }}
object IcingaApplication "app" {{ }}
object CheckCommand "st" {{ command = [ "{folder}/chk", "$host.name$" ] }}
for (h in [ {names} ]) {{
  object Host h {{ check_command = "dummy" }}
  object Service "app" use (h) {{
    host_name = h; check_command = "st"; check_interval = 1s; retry_interval = 1s; max_check_attempts = 1
  }}
}}
""")
        places = {"ConfigDir": "etc", "DataDir": "lib", "LogDir": "log", "CacheDir": "cache", "SpoolDir": "spool", "InitRunDir": "run"}
        where = [a for key, part in places.items() for a in ("-D", f"{key}={folder}/{part}")]
        where += ["-D", "RunAsUser=nagios", "-D", "RunAsGroup=nagios"]

        def pki(*arguments: str) -> None:
            subprocess.run(["icinga2", "pki", *arguments[:1], *where, *arguments[1:]], check=True, stdout=subprocess.DEVNULL)

        owned = ["chown", "-R", "nagios:nagios", str(folder)]
        subprocess.run(owned, check=True)
        certs = folder / "lib/certs"
        pki("new-ca")
        pki("new-cert", "--cn", "localhost", "--key", f"{certs}/localhost.key", "--csr", f"{certs}/localhost.csr")
        pki("sign-csr", "--csr", f"{certs}/localhost.csr", "--cert", f"{certs}/localhost.crt")
        shutil.copy(folder / "lib/ca/ca.crt", certs / "ca.crt")
        subprocess.run(owned, check=True)
        self.ca = certs / "ca.crt"
        self.program = Program(folder, ["icinga2", "daemon", *where, "-c", f"{folder}/etc/icinga2.conf"])
        wait_for("Icinga", lambda: self.open())

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def open(self) -> bool:
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def show(self, host: str, code: int) -> None:
        (self.folder / "check" / host).write_text(f"{code}\n")

    def close(self) -> None:
        self.program.stop()
