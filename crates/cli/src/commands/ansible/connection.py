# How Ansible reaches the nodes of a lab: through their agents, at any level, without ssh.
from __future__ import annotations

DOCUMENTATION = """
name: nestlab
short_description: Run tasks in the nodes of a lab
description: Runs programs and copies files with `nestlab exec` and `nestlab cp`.
options:
  program:
    description: The program.
    default: nestlab
    env: [{name: NESTLAB_PROGRAM}]
  node:
    description: The path of the node.
    default: inventory_hostname
    vars: [{name: inventory_hostname}, {name: nestlab_node}]
"""

import subprocess

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.connection import ConnectionBase

# What `nestlab exec` exits with when it could not reach the node.
LOST = 255


class Connection(ConnectionBase):
    transport = "nestlab"
    has_pipelining = True

    def _connect(self):
        self._connected = True
        return self

    def close(self):
        self._connected = False

    def _nestlab(self, *words, given=b""):
        argv = [self.get_option("program"), "--quiet", *words]
        return subprocess.run(argv, input=given, capture_output=True, check=False)

    def exec_command(self, cmd, in_data=None, sudoable=True):
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        node = self.get_option("node")
        done = self._nestlab(
            "exec", "--no-tty", node, "--", "/bin/sh", "-c", cmd, given=in_data or b""
        )
        if done.returncode == LOST:
            raise AnsibleConnectionFailure(done.stderr.decode(errors="replace"))
        return done.returncode, done.stdout, done.stderr

    def put_file(self, in_path, out_path):
        super().put_file(in_path, out_path)
        self._copy(in_path, f"{self.get_option('node')}:{out_path}")

    def fetch_file(self, in_path, out_path):
        super().fetch_file(in_path, out_path)
        self._copy(f"{self.get_option('node')}:{in_path}", out_path)

    def _copy(self, source, target):
        done = self._nestlab("cp", source, target)
        if done.returncode != 0:
            raise AnsibleError(done.stderr.decode(errors="replace").strip())
