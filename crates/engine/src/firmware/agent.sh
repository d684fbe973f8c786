#cloud-boothook
#!/bin/sh
# Has the image's own init keep Nestlab's agent, which comes on a disk beside the root and
# is found by that disk's serial. cloud-init runs this at every boot; what is there already
# is left alone.
set -eu

place=/var/lib/nestlab
mkdir -p "$place"

# As much as is new of a file; tells whether it was.
put() {
  cat >"$1.new"
  if cmp -s "$1.new" "$1"; then
    rm "$1.new"
    return 1
  fi
  mv "$1.new" "$1"
}

put "$place/run-agent" <<'END' || true
#!/bin/sh
# Mounts the disk with the agent and becomes it.
set -eu
kit=/run/nestlab/kit
if [ ! -x "$kit/bin/nestlab" ]; then
  for disk in /sys/block/vd*; do
    case "$(cat "$disk/serial" 2>/dev/null)" in
      kit-*)
        options=ro,noload
        # What it holds has no labels, and is to be run.
        [ ! -e /sys/fs/selinux/enforce ] || options=$options,context=system_u:object_r:bin_t:s0
        mkdir -p "$kit"
        mount -t ext4 -o "$options" "/dev/${disk##*/}" "$kit"
        ;;
    esac
  done
fi
export HOME=/root
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$kit/tools
exec "$kit/bin/nestlab" agent
END

if [ -d /run/systemd/system ]; then
  # The machines of a layer inside are children of the agent that outlive it
  # (KillMode=process), and the next agent adopts them.
  if put /etc/systemd/system/nestlab-agent.service <<END; then
[Unit]
Description=Nestlab agent
StartLimitIntervalSec=0
IgnoreOnIsolate=yes
[Service]
ExecStart=/bin/sh $place/run-agent
StandardOutput=append:/var/log/nestlab-agent.log
StandardError=inherit
Restart=always
RestartSec=500ms
KillMode=process
TasksMax=infinity
LimitNOFILE=1048576
OOMScoreAdjust=-900
[Install]
WantedBy=multi-user.target
END
    systemctl daemon-reload
    systemctl enable nestlab-agent.service
  fi
  systemctl start --no-block nestlab-agent.service
elif command -v openrc-run >/dev/null; then
  if put /etc/init.d/nestlab-agent <<END; then
#!/sbin/openrc-run
description="Nestlab agent"
supervisor=supervise-daemon
command=/bin/sh
command_args=$place/run-agent
output_log=/var/log/nestlab-agent.log
error_log=/var/log/nestlab-agent.log
respawn_delay=1
respawn_max=0
END
    chmod 755 /etc/init.d/nestlab-agent
    rc-update add nestlab-agent default
  fi
  # The next runlevel starts it, unless that has begun.
  rc-service nestlab-agent start
else
  echo "nestlab: neither systemd nor OpenRC is here to keep the agent; it runs by itself" >&2
  nohup /bin/sh "$place/run-agent" >>/var/log/nestlab-agent.log 2>&1 </dev/null &
fi
