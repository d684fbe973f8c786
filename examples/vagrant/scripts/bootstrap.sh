#!/bin/sh
# Makes a machine one server of a Consul cluster of three.
#
#   bootstrap.sh NAME IP bootstrap|join
#
# One machine is told `bootstrap` and the others `join`, but all of them are started alike:
# each expects three servers and tries to join them all, so that none has to be first. A
# second run starts the server anew.
set -eu

usage() {
    echo "usage: $0 NAME IP bootstrap|join" >&2
    exit 64
}

[ $# -eq 3 ] || usage
name=$1 ip=$2
case $3 in bootstrap | join) ;; *) usage ;; esac

servers=3
conf=/etc/consul.d
data=/var/lib/consul
log=/var/log/consul.log
pidfile=/run/consul.pid

# "10.10.10.11", "10.10.10.12", …
peers=
for number in $(seq "$servers"); do
    peers="$peers${peers:+, }\"${ip%.*}.1$number\""
done

install() {
    command -v consul >/dev/null && return
    { apt-get update && apt-get install --yes consul; } || {
        echo "consul is not in this box, and its packages do not have it" >&2
        exit 1
    }
}

config() {
    cat <<JSON
{
  "node_name": "$name",
  "server": true,
  "bootstrap_expect": $servers,
  "retry_join": [$peers],
  "retry_interval": "1s",
  "bind_addr": "$ip",
  "client_addr": "0.0.0.0",
  "data_dir": "$data",
  "disable_update_check": true,
  "performance": { "raft_multiplier": 3 }
}
JSON
}

with_systemd() {
    cat > /etc/systemd/system/consul.service <<UNIT
[Unit]
Description=Consul server
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=$(command -v consul) agent -config-dir $conf
Restart=on-failure
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
UNIT
    systemctl daemon-reload
    systemctl enable --quiet consul
    systemctl restart consul
}

running() {
    [ -s "$pidfile" ] && [ "$(cat "/proc/$(cat "$pidfile")/comm" 2>/dev/null)" = consul ]
}

# In a session of its own, so that it outlives this script.
without_systemd() {
    if running; then
        kill "$(cat "$pidfile")"
        for _ in $(seq 100); do
            running || break
            sleep 0.2
        done
    fi
    setsid sh -c 'echo $$ > "$0"; exec consul agent -config-dir "$1"' \
        "$pidfile" "$conf" >>"$log" 2>&1 </dev/null &
    sleep 1
    running || { tail -n 5 "$log" >&2; exit 1; }
}

install
mkdir -p "$conf" "$data"
chmod 700 "$data"
config > "$conf/server.json"
if [ -d /run/systemd/system ]; then
    with_systemd
else
    without_systemd
fi
echo "$name started on $ip, expects $servers servers"
sync
