# boot.sh CGROUP PREPARE TARGET...
# Boots a container from the root that it runs in, which is a private copy, and
# ends with the status of /job/run.sh, which the container runs once it is up.
# The TARGETs are the bind mounts that the container shares.
cgroup=$1 prepare=$2
shift 2

# The host's hierarchies may be of the old kind, and a name of its own keeps
# containers that run at the same time apart. Whoever started this removes it.
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$cgroup"
echo $$ >"/sys/fs/cgroup/$cgroup/cgroup.procs"

systemd-machine-id-setup
cat >/etc/systemd/system/job.service <<'UNIT'
[Unit]
Description=The test's script
After=multi-user.target
SuccessAction=exit-force
FailureAction=exit-force

[Service]
Type=oneshot
StandardOutput=truncate:/job/output
StandardError=inherit
ExecStart=/bin/sh -eu /job/run.sh
UNIT
export SYSTEMD_OFFLINE=1 # for systemctl: the files are meant, not the host
# So many mounts come up that systemd waits for a second before it starts the
# next mount unit. None is needed, and two look into the host's kernel.
systemctl --quiet mask dev-hugepages.mount dev-mqueue.mount run-lock.mount \
  sys-kernel-debug.mount sys-kernel-tracing.mount var-lib-machines.mount
sh -euc "$prepare"

# Without what lies below it: nspawn mounts its own /dev, /proc, /run and /sys.
mkdir /container
mount --bind / /container
for target; do
  set -- "$@" "--bind=$target"
  shift
done
exec systemd-nspawn --quiet --directory=/container --boot --register=no --keep-unit \
  --private-network --link-journal=no --resolv-conf=off --timezone=off --console=pipe "$@" \
  systemd.wants=job.service systemd.condition-needs-update=no
