# enter.sh ROOT MOUNT [SOURCE TARGET]... -- COMMAND...
# Runs COMMAND with ROOT as its root folder. The caller has made the namespaces;
# MOUNT is an empty folder in which nothing outside of them will see a mount.
root=$1 mount=$2
shift 2
mount -t tmpfs -o mode=755 tmpfs "$mount"
mkdir "$mount/upper" "$mount/work" "$mount/top"
top=$mount/top

# What the command writes goes into memory; ROOT stays as it was made.
mount -t overlay -o "lowerdir=$root,upperdir=$mount/upper,workdir=$mount/work" overlay "$top"
mount -t proc proc "$top/proc"
mount --rbind /sys "$top/sys"
mount --rbind /dev "$top/dev"
mount -t tmpfs -o mode=755 tmpfs "$top/run"
mount -t tmpfs tmpfs "$top/tmp"
mkdir "$top/run/lock"

while [ "$1" != -- ]; do
  if [ -d "$1" ]; then
    mkdir -p "$top$2"
  else
    mkdir -p "$(dirname "$top$2")"
    : >>"$top$2"
  fi
  mount --rbind "$1" "$top$2"
  shift 2
done
shift

# A chroot alone would leave "/" without being a mount point.
cd "$top"
mkdir .old
pivot_root . .old
cd /
umount -l /.old
rmdir /.old
mount --make-rshared /
exec "$@"
